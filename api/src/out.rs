//! `Out`: writes JSON straight into bytes. Lists of a thousand nodes are made of this, so nothing here builds a tree.

use baton_model::ids::WallMs;
use uuid::Uuid;

/// A growing JSON text. The caller is responsible for its grammar; strings are escaped here.
#[derive(Default)]
pub(crate) struct Out(Vec<u8>);

impl Out {
    /// Room for this many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// The text.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Text that is JSON already.
    pub(crate) fn raw(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// A string, with its quotes.
    pub(crate) fn str(&mut self, text: &str) -> &mut Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.0.push(b'"');
        let bytes = text.as_bytes();
        let mut clean = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let short = match byte {
                b'"' => b'"',
                b'\\' => b'\\',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                0..=0x1f => b'u',
                _ => continue,
            };
            self.0
                .extend_from_slice(bytes.get(clean..at).unwrap_or(&[]));
            clean = at + 1;
            self.0.extend_from_slice(&[b'\\', short]);
            if short == b'u' {
                let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
                self.0
                    .extend_from_slice(&[b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            }
        }
        self.0.extend_from_slice(bytes.get(clean..).unwrap_or(&[]));
        self.0.push(b'"');
        self
    }

    /// A string or null.
    pub(crate) fn opt_str(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.str(text),
            None => self.raw("null"),
        }
    }

    /// A boolean.
    pub(crate) fn bool(&mut self, value: bool) -> &mut Self {
        self.raw(if value { "true" } else { "false" })
    }

    /// A boolean or null.
    pub(crate) fn opt_bool(&mut self, value: Option<bool>) -> &mut Self {
        match value {
            Some(value) => self.bool(value),
            None => self.raw("null"),
        }
    }

    /// A UUID without quotes, for links.
    pub(crate) fn bare_uuid(&mut self, id: Uuid) -> &mut Self {
        let mut buffer = Uuid::encode_buffer();
        let text = id.hyphenated().encode_lower(&mut buffer);
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// A UUID or null.
    pub(crate) fn opt_uuid(&mut self, id: Option<Uuid>) -> &mut Self {
        match id {
            Some(id) => self.raw("\"").bare_uuid(id).raw("\""),
            None => self.raw("null"),
        }
    }

    /// A time or null, as `2026-11-22T04:40:57+00:00`.
    pub(crate) fn opt_time(&mut self, at: Option<WallMs>) -> &mut Self {
        match at.and_then(time) {
            Some(text) => self.raw("\"").raw(&text).raw("\""),
            None => self.raw("null"),
        }
    }
}

/// A wall-clock time as the API writes it; `None` beyond the year 9999.
pub(crate) fn time(at: WallMs) -> Option<String> {
    let stamp = jiff::Timestamp::from_millisecond(i64::try_from(at.0).ok()?).ok()?;
    let time = jiff::tz::Offset::UTC.to_datetime(stamp);
    Some(format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}+00:00",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_times_as_ironic_does() {
        let mut out = Out::default();
        out.opt_time(Some(WallMs(1_795_322_457_123)));
        assert_eq!(out.into_bytes(), b"\"2026-11-22T04:40:57+00:00\"");
        let mut out = Out::default();
        out.opt_time(Some(WallMs(u64::MAX)));
        assert_eq!(out.into_bytes(), b"null");
    }

    proptest! {
        #[test]
        fn strings_read_back(text in any::<String>()) {
            let mut out = Out::default();
            out.str(&text);
            let back: String = serde_json::from_slice(&out.into_bytes()).expect("valid JSON");
            prop_assert_eq!(back, text);
        }
    }
}
