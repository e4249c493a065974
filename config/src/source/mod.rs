//! Where values come from: the file and the environment. Neither knows what the options mean.

pub(crate) mod env;
pub(crate) mod file;

use crate::option::raw::Raw;
use crate::problem::Place;

/// A value as somebody gave it.
pub(crate) struct Given {
    pub(crate) section: String,
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// The given value: typed by TOML, or a bare text that only the option can interpret.
pub(crate) enum Value {
    Typed(Raw),
    Text(String),
}
