//! Which options may change while baton runs (SIGHUP), and why the others may not.

use crate::config::Config;
use crate::option::spec::Section;
use baton_model::error_code::ErrorCode;

/// One option that changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its section.
    pub section: &'static str,
    /// Its name.
    pub key: &'static str,
    /// The value until now, as `config show` prints it.
    pub from: String,
    /// The value from now on.
    pub to: String,
}

/// A change that can be taken over without a restart.
#[derive(Clone, Debug)]
pub struct LiveChange {
    /// What changes; may be empty.
    pub changes: Vec<Change>,
    /// The configuration from now on.
    pub config: Config,
}

/// An option that would have to change and cannot while baton runs.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "`{section}.{key}` cannot change from {from} to {to} while baton runs: {reason}; restart this conductor to apply it",
    section = change.section, key = change.key, from = change.from, to = change.to
)]
pub struct NotLive {
    /// What was asked for.
    pub change: Change,
    /// Why it cannot be done.
    pub reason: &'static str,
}

impl NotLive {
    /// The page that tells more.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        ErrorCode("CFG-201")
    }
}

/// What changes from `old` to `new`. All or nothing: one option that is not live refuses the whole reload.
///
/// # Errors
/// Every option that cannot change, with the reason.
pub fn diff_live(old: &Config, new: &Config) -> Result<LiveChange, Vec<NotLive>> {
    let mut changes = Vec::new();
    let mut refused = Vec::new();
    for (before, after) in old.sections().into_iter().zip(new.sections()) {
        for spec in before.specs() {
            let (from, to) = (before.get(spec.key), after.get(spec.key));
            if from == to {
                continue;
            }
            let change = Change {
                section: spec.section,
                key: spec.key,
                from: shown(&from.shown(spec.secret)),
                to: shown(&to.shown(spec.secret)),
            };
            if spec.is_live() {
                changes.push(change);
            } else {
                refused.push(NotLive {
                    change,
                    reason: Section::fixed_because(before),
                });
            }
        }
    }
    if refused.is_empty() {
        Ok(LiveChange {
            changes,
            config: new.clone(),
        })
    } else {
        Err(refused)
    }
}

fn shown(value: &str) -> String {
    if value.is_empty() {
        "unset".to_owned()
    } else {
        value.to_owned()
    }
}
