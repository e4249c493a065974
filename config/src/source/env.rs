//! `BATON__SECTION__KEY=value`: one option each, stronger than the file.

use super::{Given, Value};
use crate::problem::Place;

/// What marks a variable as ours. Two underscores part the words, because option names hold single ones.
pub(crate) const PREFIX: &str = "BATON__";

/// The environment variables that concern the configuration.
#[derive(Clone, Default)]
pub struct Environment(Vec<(String, String)>);

impl Environment {
    /// Those of this process. A variable that is not UTF-8 cannot be one of ours and is left out.
    #[must_use]
    pub fn of_process() -> Self {
        Self::from_pairs(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))
    }

    /// No variables.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// The given ones; those without our prefix are left out.
    #[must_use]
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut ours: Vec<_> = pairs
            .into_iter()
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        ours.sort();
        Self(ours)
    }

    /// The options they set. A name without a second `__` yields an empty key, which no section has.
    pub(crate) fn given(&self) -> impl Iterator<Item = Given> {
        self.0.iter().map(|(name, value)| {
            let rest = name.strip_prefix(PREFIX).unwrap_or(name);
            let (section, key) = rest.split_once("__").unwrap_or((rest, ""));
            let section = if section == "DEFAULT" {
                section.to_owned()
            } else {
                section.to_lowercase()
            };
            Given {
                section,
                key: key.to_lowercase(),
                value: Value::Text(value.clone()),
                place: Place::Variable(name.clone()),
            }
        })
    }
}

/// Names only: a value may be a credential.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}
