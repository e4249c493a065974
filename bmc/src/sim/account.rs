//! The users of a simulated BMC and the guard that locks them out after bad logins.

use baton_model::driver::ipmi::Privilege;
use baton_model::env::Mono;
use baton_model::secret::Secret;
use std::sync::Arc;
use std::time::Duration;

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name; IPMI allows the empty one.
    pub name: Arc<str>,
    /// The password; IPMI uses its first 20 bytes.
    pub password: Secret<Box<str>>,
    /// The highest privilege.
    pub privilege: Privilege,
}

impl Account {
    /// An administrator.
    #[must_use]
    pub fn administrator(name: &str, password: &str) -> Self {
        Self {
            name: name.into(),
            password: Secret::new(password.into()),
            privilege: Privilege::Administrator,
        }
    }
}

/// The rule of a lockout: after so many bad logins in a row nobody gets in for this long, and each try while locked
/// starts the time anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// Bad logins until the lock closes; at least 1.
    pub after: u32,
    /// How long it stays closed, counted from the last try.
    pub length: Duration,
}

/// Counts bad logins and says whether the door is locked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    bad: u32,
    locked_until: Option<Mono>,
}

impl Guard {
    /// A login is about to be checked. False while locked; the try re-arms the lock.
    pub fn admits(&mut self, now: Mono, rule: Option<Lockout>) -> bool {
        let Some(rule) = rule else {
            *self = Self::default();
            return true;
        };
        match self.locked_until {
            Some(until) if now < until => {
                self.locked_until = Some(now + rule.length);
                false
            }
            Some(_) => {
                *self = Self::default();
                true
            }
            None => true,
        }
    }

    /// A login was refused for its name or password.
    pub fn bad(&mut self, now: Mono, rule: Option<Lockout>) {
        let Some(rule) = rule else { return };
        self.bad = self.bad.saturating_add(1);
        if self.bad >= rule.after.max(1) {
            self.locked_until = Some(now + rule.length);
        }
    }

    /// A login succeeded.
    pub const fn good(&mut self) {
        self.bad = 0;
    }

    /// Until when the door stays locked if nobody tries.
    #[must_use]
    pub fn locked_until(&self, now: Mono) -> Option<Mono> {
        self.locked_until.filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_try_re_arms_the_lock() {
        let rule = Some(Lockout {
            after: 2,
            length: Duration::from_millis(100),
        });
        let mut guard = Guard::default();
        assert!(guard.admits(Mono(0), rule));
        guard.bad(Mono(0), rule);
        assert!(guard.admits(Mono(1), rule));
        guard.bad(Mono(1), rule);
        assert_eq!(guard.locked_until(Mono(1)), Some(Mono(101)));
        assert!(!guard.admits(Mono(90), rule));
        assert!(!guard.admits(Mono(180), rule), "the try at 90 re-armed it");
        assert!(guard.admits(Mono(280), rule));
        guard.bad(Mono(280), rule);
        assert!(guard.admits(Mono(281), rule), "the count began anew");
    }

    #[test]
    fn a_good_login_forgives() {
        let rule = Some(Lockout {
            after: 2,
            length: Duration::from_millis(100),
        });
        let mut guard = Guard::default();
        guard.bad(Mono(0), rule);
        guard.good();
        guard.bad(Mono(1), rule);
        assert!(guard.admits(Mono(2), rule));
        assert!(guard.admits(Mono(3), None));
    }
}
