//! [`Config`]: all sections together, and how they are filled: defaults, then the file, then the environment.

use crate::contradictions;
use crate::ironic;
use crate::machine;
use crate::option::raw::Raw;
use crate::option::spec::{Section, Spec};
use crate::problem::{ConfigErrors, Place, Problem};
use crate::sections::{
    AdminSection, ApiSection, ClusterSection, ConductorSection, DefaultSection, FakeSection,
    IpmiSection, LogSection, NotifierSection, NovaSection, RedfishSection, SyncPoolSection,
};
use crate::source::env::Environment;
use crate::source::{Given, Value, file};
use crate::suggest::nearest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Where each option that is not at its default was set, by `(section, key)`.
pub(crate) type Origins = BTreeMap<(&'static str, &'static str), Place>;

macro_rules! sections {
    ($($(#[$doc:meta])* $field:ident: $Section:ty;)+) => {
        /// The whole configuration of one conductor.
        #[derive(Clone, Debug, Default)]
        pub struct Config {
            $($(#[$doc])* pub $field: $Section,)+
            pub(crate) origins: Origins,
        }

        impl Config {
            /// Every section, in the order in which they are documented.
            #[must_use]
            pub fn sections(&self) -> Vec<&dyn Section> {
                vec![$(&self.$field),+]
            }

            fn section_mut(&mut self, name: &str) -> Option<&mut dyn Section> {
                $(if self.$field.name() == name {
                    return Some(&mut self.$field);
                })+
                None
            }
        }
    };
}

sections! {
    /// `[DEFAULT]`
    default: DefaultSection;
    /// `[conductor]`
    conductor: ConductorSection;
    /// `[cluster]`
    cluster: ClusterSection;
    /// `[api]`
    api: ApiSection;
    /// `[admin]`
    admin: AdminSection;
    /// `[sync_pool]`
    sync_pool: SyncPoolSection;
    /// `[ipmi]`
    ipmi: IpmiSection;
    /// `[redfish]`
    redfish: RedfishSection;
    /// `[fake]`
    fake: FakeSection;
    /// `[nova]`
    nova: NovaSection;
    /// `[notifier]`
    notifier: NotifierSection;
    /// `[log]`
    log: LogSection;
}

/// The values being gathered, and what went wrong on the way.
#[derive(Default)]
struct Loading {
    config: Config,
    problems: Vec<Problem>,
    misfits: BTreeSet<(&'static str, &'static str)>,
    strangers: BTreeSet<String>,
}

impl Config {
    /// The configuration of this file (none: only defaults) under these variables.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first thing.
    pub fn load(path: Option<&Path>, env: &Environment) -> Result<Self, ConfigErrors> {
        let Some(path) = path else {
            return Self::parse("", "", env);
        };
        match file::read(path) {
            Ok(text) => Self::parse(&path.display().to_string(), &text, env),
            Err(problem) => Err(ConfigErrors {
                problems: vec![problem],
            }),
        }
    }

    /// As [`Config::load`], of a text that came from `file`.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first thing.
    pub fn parse(file: &str, text: &str, env: &Environment) -> Result<Self, ConfigErrors> {
        let mut loading = Loading::default();
        let (given, problems) = file::parse(file, text);
        loading.problems = problems;
        for given in given.into_iter().chain(env.given()) {
            loading.take(given);
        }
        loading.finish()
    }

    /// Who this conductor is in the API: `[DEFAULT] host`, or the machine's host name.
    #[must_use]
    pub fn host(&self) -> String {
        self.default.host.clone().unwrap_or_else(machine::host_name)
    }

    /// Set options that have no effect in this version, for a line in the log each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.specs()
            .filter(|spec| {
                spec.is_planned() && self.origins.contains_key(&(spec.section, spec.key))
            })
            .map(|spec| {
                format!(
                    "`{}` is accepted but has no effect in this version",
                    spec.name()
                )
            })
            .collect()
    }

    /// Every option of every section.
    pub fn specs(&self) -> impl Iterator<Item = &'static Spec> + use<> {
        let sections: Vec<_> = self.sections().into_iter().map(Section::specs).collect();
        sections.into_iter().flatten()
    }

    /// The present value of an option, untyped; [`Raw::Unset`] for one that does not exist.
    #[must_use]
    pub fn get(&self, section: &str, key: &str) -> Raw {
        let section = self
            .sections()
            .into_iter()
            .find(|known| known.name() == section);
        section.map_or(Raw::Unset, |section| section.get(key))
    }
}

impl Loading {
    fn take(&mut self, given: Given) {
        let Given {
            section: section_name,
            key,
            value,
            place,
        } = given;
        let Some(section) = self.config.section_mut(&section_name) else {
            let in_file = matches!(place, Place::Line { .. });
            // One complaint for a section of the file, at its first key.
            if !in_file || self.strangers.insert(section_name.clone()) {
                let problem = self.unknown_section(&section_name, &key, place);
                self.problems.push(problem);
            }
            return;
        };
        let Some(spec) = section.specs().iter().find(|spec| spec.key == key) else {
            let empty_section = key.is_empty() && matches!(value, Value::Typed(Raw::Unset));
            if !empty_section {
                let problem = self.unknown_key(&section_name, &key, place);
                self.problems.push(problem);
            }
            return;
        };
        let raw = match value {
            Value::Typed(raw) => raw,
            Value::Text(text) => spec.read_text(&text),
        };
        match section.set(&key, &raw) {
            Ok(()) => {
                self.config.origins.insert((spec.section, spec.key), place);
            }
            Err(misfit) => {
                self.misfits.insert((spec.section, spec.key));
                self.problems.push(Problem::Misfit {
                    place,
                    name: spec.name(),
                    value: raw.shown(spec.secret),
                    reason: misfit.0,
                });
            }
        }
    }

    fn unknown_section(&self, section: &str, key: &str, place: Place) -> Problem {
        if let Some(instead) = ironic::instead_of(section, key) {
            return Problem::IronicOnly {
                place,
                name: format!("[{section}]"),
                instead,
            };
        }
        let names = self.config.sections().into_iter().map(Section::name);
        let hint = nearest(section, names)
            .map(|name| format!(": did you mean `[{name}]`?"))
            .unwrap_or_default();
        Problem::Unknown {
            place,
            what: format!("section `[{section}]`"),
            hint,
        }
    }

    fn unknown_key(&self, section: &str, key: &str, place: Place) -> Problem {
        if let Some(instead) = ironic::instead_of(section, key) {
            return Problem::IronicOnly {
                place,
                name: dotted(section, key),
                instead,
            };
        }
        let specs: Vec<_> = self.config.specs().collect();
        let here = specs
            .iter()
            .filter(|spec| spec.section == section)
            .map(|spec| spec.key);
        let elsewhere = specs.iter().find(|spec| spec.key == key);
        let hint = match (elsewhere, nearest(key, here)) {
            (Some(spec), _) => format!(": it belongs into `[{}]`", spec.section),
            (None, Some(near)) => format!(": did you mean `{near}`?"),
            (None, None) => String::new(),
        };
        Problem::Unknown {
            place,
            what: format!("key `{}`", dotted(section, key)),
            hint,
        }
    }

    fn finish(mut self) -> Result<Config, ConfigErrors> {
        let contradictions = contradictions::find(&self.config, &self.misfits);
        self.problems.extend(contradictions);
        if self.problems.is_empty() {
            Ok(self.config)
        } else {
            Err(ConfigErrors {
                problems: self.problems,
            })
        }
    }
}

fn dotted(section: &str, key: &str) -> String {
    if key.is_empty() {
        format!("[{section}]")
    } else {
        format!("{section}.{key}")
    }
}
