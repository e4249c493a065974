//! `baton config show`: the effective configuration as TOML, each value with where it came from.

use crate::config::Config;
use crate::option::raw::Raw;
use crate::problem::Place;
use std::fmt::Write as _;

impl Config {
    /// The effective configuration as TOML. It parses to the same values, except that credentials show as `***`.
    #[must_use]
    pub fn show(&self) -> String {
        let mut out = String::new();
        for section in self.sections() {
            let rows: Vec<(String, String)> = section
                .specs()
                .iter()
                .map(|spec| {
                    let value = section.get(spec.key);
                    let assignment = if value == Raw::Unset {
                        format!("# {} is unset", spec.key)
                    } else {
                        format!("{} = {value}", spec.key)
                    };
                    (assignment, self.origin(spec.section, spec.key))
                })
                .collect();
            let width = rows
                .iter()
                .map(|(left, _)| left.chars().count())
                .filter(|width| *width <= 60)
                .max();
            let width = width.unwrap_or_default();
            let gap = if out.is_empty() { "" } else { "\n" };
            push(&mut out, format_args!("{gap}[{}]\n", section.name()));
            for (left, origin) in rows {
                push(&mut out, format_args!("{left:<width$}  # {origin}\n"));
            }
        }
        out
    }

    fn origin(&self, section: &'static str, key: &'static str) -> String {
        match self.origins.get(&(section, key)) {
            None => "default".to_owned(),
            Some(Place::Line { line, .. }) => format!("file, line {line}"),
            Some(Place::Variable(name)) => format!("environment, {name}"),
            Some(Place::File(file)) => file.clone(),
        }
    }
}

/// Appends to a `String`, which cannot fail.
pub(crate) fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a String cannot fail");
}
