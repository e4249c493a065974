//! The reset types of the standard, and sets of them. Source: DSP2046, `Resource.ResetType`.

use std::fmt;

macro_rules! reset_types {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A value of `ComputerSystem.Reset`'s `ResetType` parameter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ResetType {
            $($(#[$doc])* $name,)*
        }

        impl ResetType {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

reset_types! {
    /// Turn on.
    On,
    /// Turn on, whatever stands against it.
    ForceOn,
    /// Cut the power.
    ForceOff,
    /// Ask the operating system to shut down.
    GracefulShutdown,
    /// Ask the operating system to restart.
    GracefulRestart,
    /// Restart without asking.
    ForceRestart,
    /// Take the power away and give it back.
    PowerCycle,
    /// Do as a short press of the power button does, which depends on the power state.
    PushPowerButton,
    /// Raise a diagnostic interrupt.
    Nmi,
}

impl ResetType {
    /// The type of a word; `None` for the words that baton never sends.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| known.as_str() == word)
    }

    /// This type's bit in a [`ResetSet`].
    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for ResetType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The reset types that a BMC allows, in two bytes, because every machine keeps one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResetSet(u16);

impl ResetSet {
    /// Whether the type is allowed.
    #[must_use]
    pub const fn contains(self, reset: ResetType) -> bool {
        self.0 & reset.bit() != 0
    }
}

impl FromIterator<ResetType> for ResetSet {
    fn from_iter<I: IntoIterator<Item = ResetType>>(types: I) -> Self {
        Self(types.into_iter().fold(0, |set, reset| set | reset.bit()))
    }
}

impl fmt::Display for ResetSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for reset in ResetType::ALL {
            if self.contains(*reset) {
                write!(f, "{separator}{reset}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_sets_agree() {
        for reset in ResetType::ALL {
            assert_eq!(ResetType::from_word(reset.as_str()), Some(*reset));
            let one: ResetSet = [*reset].into_iter().collect();
            for other in ResetType::ALL {
                assert_eq!(one.contains(*other), reset == other);
            }
        }
        assert_eq!(ResetType::from_word("Suspend"), None);
        let set: ResetSet = [ResetType::Nmi, ResetType::On].into_iter().collect();
        assert_eq!(set.to_string(), "On, Nmi");
    }
}
