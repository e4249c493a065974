//! [`Spec`]: one row of the option table, and [`Section`], what every section struct offers.

use super::raw::Raw;
use super::{Kind, Misfit};

/// What an option's declaration says after its default: `, live, range(1, 60)`. Each word there is a method here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    live: bool,
    planned: bool,
    ours: bool,
    min: Option<i64>,
    max: Option<i64>,
}

impl Rule {
    /// No bound but the type's; set at start; an option of Ironic.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            live: false,
            planned: false,
            ours: false,
            min: None,
            max: None,
        }
    }

    /// It may change while baton runs (SIGHUP).
    #[must_use]
    pub const fn live(self) -> Self {
        Self { live: true, ..self }
    }

    /// It is accepted, so that a configuration can be complete, but has no effect in this version yet.
    #[must_use]
    pub const fn planned(self) -> Self {
        Self {
            planned: true,
            ..self
        }
    }

    /// It is baton's own: Ironic has no such option.
    #[must_use]
    pub const fn ours(self) -> Self {
        Self { ours: true, ..self }
    }

    /// Lowest value, in the option's unit.
    #[must_use]
    pub const fn min(self, min: i64) -> Self {
        Self {
            min: Some(min),
            ..self
        }
    }

    /// Highest value, in the option's unit.
    #[must_use]
    pub const fn max(self, max: i64) -> Self {
        Self {
            max: Some(max),
            ..self
        }
    }

    /// Lowest and highest value, in the option's unit.
    #[must_use]
    pub const fn range(self, min: i64, max: i64) -> Self {
        self.min(min).max(max)
    }
}

/// One option.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its section, such as `conductor`.
    pub section: &'static str,
    /// Its name, such as `sync_power_state_interval`.
    pub key: &'static str,
    /// What it does; one or more lines.
    pub doc: &'static str,
    /// What its values are, for people.
    pub kind: String,
    /// Its default.
    pub default: Raw,
    /// Whether its values are credentials.
    pub secret: bool,
    zero_is_off: bool,
    from_text: fn(&str) -> Raw,
    rule: Rule,
}

impl Spec {
    pub(crate) fn new<K: Kind>(
        section: &'static str,
        key: &'static str,
        doc: &'static str,
        default: Raw,
        rule: Rule,
    ) -> Self {
        Self {
            section,
            key,
            doc,
            kind: K::describe(),
            default,
            secret: K::SECRET,
            zero_is_off: K::ZERO_IS_OFF,
            from_text: K::from_text,
            rule,
        }
    }

    /// `section.key`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }

    /// The environment variable that overrides it.
    #[must_use]
    pub fn variable(&self) -> String {
        let (section, key) = (self.section.to_uppercase(), self.key.to_uppercase());
        format!("{}{section}__{key}", crate::source::env::PREFIX)
    }

    /// Whether it may change while baton runs.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.rule.live
    }

    /// Whether it is accepted but has no effect yet.
    #[must_use]
    pub const fn is_planned(&self) -> bool {
        self.rule.planned
    }

    /// Whether it is baton's own.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        self.rule.ours
    }

    /// The bounds for people: `1 to 60`, `at least 1, or 0 for off`; `None` where only the type bounds it.
    #[must_use]
    pub fn bounds(&self) -> Option<String> {
        let bounds = match (self.rule.min, self.rule.max) {
            (Some(min), Some(max)) => Some(format!("{min} to {max}")),
            (Some(min), None) => Some(format!("at least {min}")),
            (None, Some(max)) => Some(format!("at most {max}")),
            (None, None) => None,
        };
        match (bounds, self.zero_is_off) {
            (Some(bounds), true) => Some(format!("{bounds}, or 0 for off")),
            (None, true) => Some("0 for off".to_owned()),
            (bounds, false) => bounds,
        }
    }

    pub(crate) fn read_text(&self, text: &str) -> Raw {
        (self.from_text)(text)
    }

    /// Whether a value that its type can hold is within the option's bounds.
    pub(crate) fn check(&self, value: &Raw) -> Result<(), Misfit> {
        let off = self.zero_is_off && *value == Raw::Int(0);
        if off || (self.above_min(value) && self.below_max(value)) {
            return Ok(());
        }
        let bounds = self.bounds().unwrap_or_default();
        Err(Misfit(format!("is out of range: {bounds} ({})", self.kind)))
    }

    fn above_min(&self, value: &Raw) -> bool {
        self.rule.min.is_none_or(|min| match value {
            Raw::Int(value) => *value >= min,
            Raw::Float(value) => value.floor() >= bound(min),
            Raw::List(items) => min <= 0 || !items.is_empty(),
            Raw::Unset | Raw::Bool(_) | Raw::Text(_) | Raw::Hidden(_) | Raw::Table(_) => true,
        })
    }

    fn below_max(&self, value: &Raw) -> bool {
        self.rule.max.is_none_or(|max| match value {
            Raw::Int(value) => *value <= max,
            Raw::Float(value) => value.ceil() <= bound(max),
            Raw::Unset
            | Raw::Bool(_)
            | Raw::Text(_)
            | Raw::Hidden(_)
            | Raw::List(_)
            | Raw::Table(_) => true,
        })
    }
}

/// A bound as a float: bounds are small, and one beyond `i32` bounds nothing that a float option can reach.
fn bound(bound: i64) -> f64 {
    i32::try_from(bound).map_or(if bound < 0 { f64::MIN } else { f64::MAX }, f64::from)
}

/// What `section!` gives every section struct.
pub trait Section {
    /// Its name in the file.
    fn name(&self) -> &'static str;
    /// What it is about.
    fn about(&self) -> &'static str;
    /// Why those of its options that are not live cannot change while baton runs.
    fn fixed_because(&self) -> &'static str;
    /// Its options, in the order in which they are documented.
    fn specs(&self) -> &'static [Spec];
    /// The present value of an option; [`Raw::Unset`] for a key it does not have.
    fn get(&self, key: &str) -> Raw;
    /// Sets an option from an untyped value, after checking it.
    ///
    /// # Errors
    /// A [`Misfit`] if the value is of another kind or out of bounds; nothing is changed then.
    fn set(&mut self, key: &str, raw: &Raw) -> Result<(), Misfit>;
}
