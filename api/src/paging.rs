//! Pages of lists: `limit`, `marker`, `sort_dir`, and the `next` link that keeps every other parameter.

use crate::call::Call;
use crate::error::ApiError;
use crate::query::encode_into;

/// Query parameters of every list.
pub(crate) const PARAMETERS: [&str; 4] = ["limit", "marker", "sort_key", "sort_dir"];

/// The wanted page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Page {
    /// At most this many items.
    pub(crate) limit: usize,
    /// After this one.
    pub(crate) marker: Option<String>,
    /// Backwards.
    pub(crate) descending: bool,
}

impl Page {
    /// Reads the parameters. `ceiling` is the default and the most.
    pub(crate) fn read(call: &Call, ceiling: usize) -> Result<Self, ApiError> {
        let limit = match call.query.get("limit") {
            None => ceiling,
            Some(text) => {
                let limit: i64 = text
                    .trim()
                    .parse()
                    .map_err(|_| ApiError::bad(format!("Expected an integer for limit: {text}")))?;
                match usize::try_from(limit) {
                    Ok(0) | Err(_) => return Err(ApiError::bad("Limit must be positive")),
                    Ok(limit) => limit.min(ceiling),
                }
            }
        };
        let descending = match call.query.get("sort_dir") {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(other) => {
                return Err(ApiError::bad(format!(
                    "Invalid sort direction: {other}. Acceptable values are 'asc' or 'desc'"
                )));
            }
        };
        Ok(Self {
            limit,
            marker: call.query.get("marker").map(str::to_owned),
            descending,
        })
    }

    /// The link to the page after the one that ends with `last`. Present when the page is full, as Ironic does it.
    pub(crate) fn next(&self, call: &Call, returned: usize, last: &str) -> Option<String> {
        (returned == self.limit).then(|| {
            let mut link = format!("{}/v1{}?limit={}", call.base, call.path, self.limit);
            for (key, value) in call.query.without(&["limit", "marker"]) {
                link.push('&');
                encode_into(key, &mut link);
                link.push('=');
                encode_into(value, &mut link);
            }
            link.push_str("&marker=");
            encode_into(last, &mut link);
            link
        })
    }
}
