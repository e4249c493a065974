//! What an option is: a [`Kind`] of value, a [`spec::Rule`] for it, and the `section!` macro that lists them.

pub(crate) mod choice;
pub(crate) mod kinds;
pub(crate) mod raw;
pub(crate) mod section;
pub(crate) mod spec;

use raw::Raw;

/// Why a value does not fit its option; reads well after "`section.key` = value".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit(pub String);

/// How one kind of option is read from the file, from the environment, and written back.
///
/// `read` and `write` are inverse: `read(&write(&value)) == Ok(value)`.
pub trait Kind {
    /// The type that the rest of baton sees.
    type Type: Clone + PartialEq + std::fmt::Debug;
    /// Whether values are credentials, to be shown as `***`.
    const SECRET: bool = false;
    /// Whether 0 means "off" and is therefore allowed whatever the lower bound says.
    const ZERO_IS_OFF: bool = false;

    /// What it is, for people: `seconds`, `list of texts`, ``one of `a`, `b` ``.
    fn describe() -> String;

    /// The typed value.
    ///
    /// # Errors
    /// A [`Misfit`] if `raw` is of another kind or out of what the type can hold.
    fn read(raw: &Raw) -> Result<Self::Type, Misfit>;

    /// The value as it would stand in a file.
    fn write(value: &Self::Type) -> Raw;

    /// The meaning of an environment variable's text, which carries no type of its own.
    fn from_text(text: &str) -> Raw {
        Raw::Text(text.to_owned())
    }
}

/// The usual misfit: "is not …".
pub(crate) fn not_a<K: Kind + ?Sized>() -> Misfit {
    Misfit(format!("is not {}", article(&K::describe())))
}

/// Puts "a" before a countable description.
fn article(kind: &str) -> String {
    if kind.starts_with("one of") || kind.starts_with("true") {
        kind.to_owned()
    } else if kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
        format!("an {kind}")
    } else {
        format!("a {kind}")
    }
}
