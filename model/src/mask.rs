//! Masking of secrets in JSON that leaves baton, as Ironic does it (api-nodes: "Secrets").

use serde_json::{Map, Value};

/// What a secret looks like to the outside.
pub const MASK: &str = "******";

/// A key whose lower-case name contains one of these is secret. Source: oslo.utils `strutils._SANITIZE_KEYS`.
const SECRET_PARTS: &[&str] = &[
    "admin_pass",
    "adminpass",
    "admin_password",
    "auth_password",
    "auth_token",
    "barbicansimplecryptokek",
    "chappassword",
    "chapsecret",
    "configdrive",
    "encrypted_key",
    "fernetkey",
    "migrationsshkey",
    "new_pass",
    "passphrase",
    "password",
    "private_key",
    "rabbitcookie",
    "secret",
    "secret_uuid",
    "sslkey",
    "sys_pswd",
    "token",
];

/// Masks every secret in `map`, at any depth. `exact` names further keys that are secret in this object only
/// (`snmp_auth_key` in `driver_info`, `image_url` in `instance_info`).
pub fn mask_map(map: &mut Map<String, Value>, exact: &[&str]) {
    for (key, value) in map.iter_mut() {
        if is_secret_key(key) || exact.contains(&key.as_str()) {
            *value = Value::String(MASK.to_owned());
        } else {
            mask_value(value, exact);
        }
    }
}

fn mask_value(value: &mut Value, exact: &[&str]) {
    match value {
        Value::Object(map) => mask_map(map, exact),
        Value::Array(items) => items.iter_mut().for_each(|item| mask_value(item, exact)),
        Value::String(text) => {
            if let Some(masked) = mask_text(text) {
                *text = masked;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// One of these is in every text that [`mask_map`] could change: each of [`SECRET_PARTS`] holds one, and `image_url` is
/// the one exact key that does not.
const STEMS: &[&[u8]] = &[
    b"pass",
    b"token",
    b"secret",
    b"key",
    b"configdrive",
    b"pswd",
    b"cookie",
    b"cryptokek",
    b"image_url",
];

/// Whether a JSON text could hold something to mask. False positives cost a parse; there are no false negatives. A
/// text with an escape may spell a key in another way, so it counts as suspect.
#[must_use]
pub fn may_hold_secret(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().any(|(at, byte)| {
        *byte == b'\\'
            || (matches!(
                byte.to_ascii_lowercase(),
                b'p' | b't' | b's' | b'k' | b'c' | b'i'
            ) && STEMS.iter().any(|stem| {
                bytes
                    .get(at..at.saturating_add(stem.len()))
                    .is_some_and(|part| part.eq_ignore_ascii_case(stem))
            }))
    })
}

/// Whether a key names a secret.
#[must_use]
pub fn is_secret_key(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| lower.contains(part))
}

/// Masks `…password=value` pairs embedded in a text; `None` when there is nothing to mask.
#[must_use]
pub fn mask_text(text: &str) -> Option<String> {
    let mut masked = String::new();
    let mut rest = text;
    let mut found = false;
    while let Some(at) = rest.find('=') {
        let (head, tail) = rest.split_at(at);
        let start = head
            .rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
            .map_or(0, |i| i + 1);
        let tail = tail.strip_prefix('=').unwrap_or(tail);
        masked.push_str(head);
        masked.push('=');
        if head.get(start..).is_some_and(is_secret_key) {
            let end =
                tail.find(|c: char| c.is_whitespace() || matches!(c, '&' | ',' | ';' | '\'' | '"'));
            masked.push_str(MASK);
            found = true;
            rest = end.and_then(|end| tail.get(end..)).unwrap_or("");
        } else {
            rest = tail;
        }
    }
    masked.push_str(rest);
    found.then_some(masked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_by_key_at_any_depth_and_inside_texts() {
        let text = r#"{"ipmi_password":"x","ipmi_username":"u","deep":[{"API_Token":1}],"url":"http://h/?user=a&password=b&x=1"}"#;
        let mut map: Map<String, Value> = serde_json::from_str(text).expect("valid");
        mask_map(&mut map, &["snmp_auth_key"]);
        let shown = serde_json::to_string(&map).expect("serialises");
        assert_eq!(
            shown,
            r#"{"deep":[{"API_Token":"******"}],"ipmi_password":"******","ipmi_username":"u","url":"http://h/?user=a&password=******&x=1"}"#
        );
    }

    #[test]
    fn every_secret_key_makes_its_text_suspect() {
        for part in SECRET_PARTS {
            let upper = part.to_ascii_uppercase();
            assert!(may_hold_secret(&format!(r#"{{"x_{part}":1}}"#)), "{part}");
            assert!(may_hold_secret(&format!(r#"{{"{upper}":1}}"#)), "{upper}");
        }
        assert!(may_hold_secret(r#"{"p\u0061ssword":1}"#));
        assert!(!may_hold_secret(
            r#"{"cpu_arch":"x86_64","cpus":4,"ipmi_address":"h"}"#
        ));
    }

    #[test]
    fn a_text_without_secrets_is_left_as_it_is() {
        assert_eq!(mask_text("a=b c=d"), None);
        assert_eq!(mask_text("=="), None);
    }
}
