//! `Secret<T>`: a value that logs, errors and `Debug` never show.

use std::fmt;

/// Holds a credential. `Debug` prints `***`; there is no `Display` and no serde. Call [`Secret::expose`] only at the
/// place that puts the value on the wire to its rightful peer.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a credential.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The credential itself.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
