//! [`Raw`]: an option's value before it has a type, as TOML and the environment give it.

use baton_model::secret::Secret;
use std::collections::BTreeMap;
use std::fmt;

/// An untyped value. `Display` writes TOML; a [`Raw::Hidden`] shows as `"***"`.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    /// No value: an optional option that nobody set.
    Unset,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a decimal point.
    Float(f64),
    /// A text.
    Text(String),
    /// A credential.
    Hidden(Secret<String>),
    /// A list.
    List(Vec<Raw>),
    /// A table of names and values.
    Table(BTreeMap<String, Raw>),
}

impl Raw {
    /// The value as an error message shows it: `***` for a credential, shortened when it is long.
    #[must_use]
    pub fn shown(&self, secret: bool) -> String {
        /// Longer values would push the reason out of an 80-column terminal.
        const SHOWN_CHARS_MAX: usize = 60;
        if secret && *self != Self::Unset {
            return "***".to_owned();
        }
        let text = self.to_string();
        if text.chars().count() <= SHOWN_CHARS_MAX {
            return text;
        }
        let head: String = text.chars().take(SHOWN_CHARS_MAX).collect();
        format!("{head}…")
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => Ok(()),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(value) => quoted(value).fmt(f),
            Self::Hidden(_) => f.write_str("\"***\""),
            Self::List(items) => {
                f.write_str("[")?;
                for (position, item) in items.iter().enumerate() {
                    let comma = if position == 0 { "" } else { ", " };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
            Self::Table(entries) => {
                f.write_str("{")?;
                for (position, (key, value)) in entries.iter().enumerate() {
                    let comma = if position == 0 { " " } else { ", " };
                    write!(f, "{comma}{} = {value}", quoted(key))?;
                }
                f.write_str(if entries.is_empty() { "}" } else { " }" })
            }
        }
    }
}

/// A TOML text with its quotes and escapes.
fn quoted(text: &str) -> toml::Value {
    toml::Value::String(text.to_owned())
}

impl From<bool> for Raw {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for Raw {
    fn from(value: i32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<&str> for Raw {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl<const N: usize> From<[&str; N]> for Raw {
    fn from(values: [&str; N]) -> Self {
        Self::List(values.into_iter().map(Raw::from).collect())
    }
}

/// The default of an optional option, and of a table: nothing.
pub struct Nothing;

impl From<Nothing> for Raw {
    fn from(_: Nothing) -> Self {
        Self::Unset
    }
}
