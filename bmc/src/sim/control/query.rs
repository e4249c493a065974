//! Query strings: known keys only, with clear refusals.

use super::Problem;
use std::collections::BTreeMap;

/// Default and largest page of lists. 1000 machines are about 600 KiB of JSON.
const PAGE: u64 = 100;
const PAGE_MAX: u64 = 1000;

/// A query string of known keys.
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub(super) fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut found = BTreeMap::new();
        for part in query
            .unwrap_or("")
            .split('&')
            .filter(|part| !part.is_empty())
        {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            if !known.contains(&key) {
                return Err(Problem::bad(format!(
                    "unknown query key `{key}`; known: {}",
                    known.join(", ")
                )));
            }
            found.insert(key.to_owned(), value.to_owned());
        }
        Ok(Self(found))
    }

    pub(super) fn number(&self, key: &str, default: u64) -> Result<u64, Problem> {
        match self.0.get(key) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| Problem::bad(format!("`{key}` must be a whole number, not `{text}`"))),
        }
    }

    pub(super) fn page(&self) -> Result<(u64, u64), Problem> {
        let limit = self.number("limit", PAGE)?;
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Problem::bad(format!(
                "`limit` must be between 1 and {PAGE_MAX}"
            )));
        }
        Ok((self.number("offset", 0)?, limit))
    }
}
