//! The TOML file, read with the line of every key.

use super::{Given, Value};
use crate::option::raw::Raw;
use crate::problem::{Place, Problem};
use std::io::Read as _;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A configuration is a few kilobytes; more than this is the wrong file (a disk image, a log).
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The whole file as text.
pub(crate) fn read(path: &Path) -> Result<String, Problem> {
    let unreadable = |reason: String| Problem::Unreadable {
        place: Place::File(path.display().to_string()),
        reason,
    };
    let file = std::fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| unreadable(error.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(unreadable(format!(
            "it is larger than {FILE_BYTES_MAX} bytes; is it the right file?"
        )));
    }
    Ok(text)
}

/// Everything that the text sets, in its order; `file` names it in places.
///
/// # Errors
/// All syntax errors, or the values that stand outside of a section or have no meaning here (dates).
pub(crate) fn parse(file: &str, text: &str) -> (Vec<Given>, Vec<Problem>) {
    let lines = Lines { file, text };
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return (Vec::new(), lines.syntax(&errors));
    }
    let mut given = Vec::new();
    let mut problems = Vec::new();
    for (section, value) in document.get_ref() {
        let at = section.span().start;
        let DeValue::Table(options) = value.get_ref() else {
            problems.push(Problem::Unknown {
                place: lines.place(at),
                what: format!("key `{}` outside of a section", section.get_ref()),
                hint: ": options stand under a heading such as `[conductor]`".to_owned(),
            });
            continue;
        };
        if options.is_empty() {
            given.push((at, lines.given(section.get_ref(), "", Raw::Unset, at)));
        }
        for (key, value) in options {
            let at = key.span().start;
            match raw(value) {
                Some(raw) => {
                    given.push((at, lines.given(section.get_ref(), key.get_ref(), raw, at)))
                }
                None => problems.push(Problem::Misfit {
                    place: lines.place(at),
                    name: format!(
                        "{section}.{key}",
                        section = section.get_ref(),
                        key = key.get_ref()
                    ),
                    value: text.get(value.span()).unwrap_or("?").to_owned(),
                    reason: "is a date or a number that no option can hold".to_owned(),
                }),
            }
        }
    }
    given.sort_by_key(|(at, _)| *at);
    (
        given.into_iter().map(|(_, given)| given).collect(),
        problems,
    )
}

/// The value without its spans; `None` for dates and numbers beyond 64 bits.
fn raw(value: &Spanned<DeValue<'_>>) -> Option<Raw> {
    Some(match value.get_ref() {
        DeValue::String(text) => Raw::Text(text.as_ref().to_owned()),
        DeValue::Integer(number) => {
            Raw::Int(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
        }
        DeValue::Float(number) => Raw::Float(number.as_str().parse().ok()?),
        DeValue::Boolean(value) => Raw::Bool(*value),
        DeValue::Array(items) => Raw::List(items.iter().map(raw).collect::<Option<_>>()?),
        DeValue::Table(entries) => Raw::Table(
            entries
                .iter()
                .map(|(key, value)| Some((key.get_ref().as_ref().to_owned(), raw(value)?)))
                .collect::<Option<_>>()?,
        ),
        DeValue::Datetime(_) => return None,
    })
}

/// Who comes from oslo.config forgets quotes and brackets; say so where the parser cannot know.
fn hinted(message: &str) -> String {
    let bare_value = ["quoted", "invalid", "unexpected key or value"]
        .iter()
        .any(|sign| message.contains(sign));
    let hint = if bare_value {
        " (in TOML a text stands in quotes, a list in brackets, and true and false are lower case)"
    } else {
        ""
    };
    format!("{message}{hint}")
}

struct Lines<'a> {
    file: &'a str,
    text: &'a str,
}

impl Lines<'_> {
    fn place(&self, at: usize) -> Place {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Place::Line {
            file: self.file.to_owned(),
            line,
        }
    }

    /// Syntax errors in the order of the file, one a line: the parser's further ones in a line are guesses.
    fn syntax(&self, errors: &[toml::de::Error]) -> Vec<Problem> {
        let mut found: Vec<_> = errors
            .iter()
            .map(|error| {
                (
                    error.span().map_or(0, |span| span.start),
                    hinted(error.message()),
                )
            })
            .map(|(at, reason)| {
                (
                    at,
                    Problem::Syntax {
                        place: self.place(at),
                        reason,
                    },
                )
            })
            .collect();
        found.sort_by_key(|(at, _)| *at);
        found.dedup_by(|(later, _), (earlier, _)| self.place(*later) == self.place(*earlier));
        found.into_iter().map(|(_, problem)| problem).collect()
    }

    fn given(&self, section: &str, key: &str, value: Raw, at: usize) -> Given {
        Given {
            section: section.to_owned(),
            key: key.to_owned(),
            value: Value::Typed(value),
            place: self.place(at),
        }
    }
}
