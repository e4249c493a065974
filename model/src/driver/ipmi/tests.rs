//! One case per row of Ironic's checks, and their order.

use super::*;
use serde_json::json;
use uuid::Uuid;

const NODE: NodeId = NodeId(Uuid::from_u128(7));

fn read(info: Value) -> Result<IpmiTarget, DriverInfoError> {
    let Value::Object(mut map) = info else {
        panic!("driver_info is an object");
    };
    map.entry("ipmi_address").or_insert(json!("192.0.2.1"));
    parse(NODE, &map)
}

fn refusal(info: Value) -> String {
    read(info).unwrap_err().to_string()
}

#[test]
fn defaults_are_ironics() {
    let target = read(json!({})).unwrap();
    assert_eq!(&*target.address, "192.0.2.1");
    assert_eq!(target.port, 623);
    assert_eq!((&*target.username, &**target.password.expose()), ("", ""));
    assert_eq!(target.privilege, Privilege::Administrator);
    assert_eq!(target.protocol, IpmiProtocol::V2_0);
    assert_eq!((target.cipher_suite, target.kg), (None, None));
}

#[test]
fn every_key_is_read() {
    let target = read(json!({
        "ipmi_address": "bmc-1.rack_2.example.com", "ipmi_port": "1623", "ipmi_username": "root",
        "ipmi_password": 12345, "ipmi_priv_level": "OPERATOR", "ipmi_protocol_version": 2.0,
        "ipmi_cipher_suite": "17", "ipmi_hex_kg_key": "00fF10", "ipmi_bridging": "no",
        "ipmi_terminal_port": 8000, "ipmi_force_boot_device": "whatever",
    }))
    .unwrap();
    assert_eq!(&*target.address, "bmc-1.rack_2.example.com");
    assert_eq!(target.port, 1623);
    assert_eq!(&**target.password.expose(), "12345");
    assert_eq!(target.privilege, Privilege::Operator);
    assert_eq!(target.cipher_suite, Some(CipherSuite::Seventeen));
    assert_eq!(
        target.kg.map(|kg| kg.expose().to_vec()),
        Some(vec![0x00, 0xFF, 0x10])
    );
    let three = read(json!({"ipmi_cipher_suite": 3})).unwrap();
    assert_eq!(three.cipher_suite, Some(CipherSuite::Three));
    let old = read(json!({"ipmi_protocol_version": "1.5"})).unwrap();
    assert_eq!(old.protocol, IpmiProtocol::V1_5);
}

#[test]
fn a_missing_address_comes_first() {
    for address in [json!(null), json!("")] {
        let error = read(json!({"ipmi_address": address, "ipmi_port": "x"})).unwrap_err();
        assert_eq!(
            error,
            DriverInfoError::Missing(
                "Missing the following IPMI credentials in node's driver_info: ['ipmi_address']."
                    .to_owned()
            )
        );
    }
    assert!(parse(NODE, &Map::new()).is_err());
}

#[test]
fn addresses_are_checked() {
    for bad in ["BMC.example.com", "bmc 1", "[::1]", "10.0.0.1:623", "a/b"] {
        assert_eq!(
            refusal(json!({"ipmi_address": bad})),
            format!(
                "Invalid IPMI address \"{bad}\" for node {NODE}. Must be a valid IP address or hostname."
            )
        );
    }
    assert!(read(json!({"ipmi_address": "2001:DB8::1"})).is_ok());
    assert!(read(json!({"ipmi_address": "a".repeat(256)})).is_err());
}

#[test]
fn each_row_has_ironics_text() {
    let rows = [
        (
            json!({"ipmi_protocol_version": "3"}),
            "Invalid IPMI protocol version value 3, the valid value can be one of 2.0, 1.5",
        ),
        (
            json!({"ipmi_terminal_port": "abc"}),
            "ipmi_terminal_port \"abc\" is not a valid port.",
        ),
        (
            json!({"ipmi_port": 65536}),
            "ipmi_port \"65536\" is not a valid port.",
        ),
        (
            json!({"ipmi_port": "x"}),
            "ipmi_port \"x\" is not a valid port.",
        ),
        (
            json!({"ipmi_bridging": "triple"}),
            "Invalid value for ipmi_bridging: triple, the valid value can be one of: ['single', 'dual', 'no']",
        ),
        (
            json!({"ipmi_bridging": "single"}),
            "['ipmi_target_channel', 'ipmi_target_address'] not provided",
        ),
        (
            json!({"ipmi_bridging": "dual", "ipmi_target_channel": "1", "ipmi_target_address": "2",
                   "ipmi_transit_channel": "3"}),
            "['ipmi_transit_address'] not provided",
        ),
        (
            json!({"ipmi_priv_level": "ROOT"}),
            "Invalid privilege level value:ROOT, the valid value can be one of ADMINISTRATOR, CALLBACK, OPERATOR, USER",
        ),
        (
            json!({"ipmi_hex_kg_key": "abc"}),
            "Number of ipmi_hex_kg_key characters is not even",
        ),
        (
            json!({"ipmi_cipher_suite": "strong"}),
            "Invalid cipher suite strong, expected a number",
        ),
        (
            json!({"ipmi_cipher_suite": 3, "ipmi_protocol_version": "1.5"}),
            "Cipher suites cannot be used with IPMI 1.5",
        ),
    ];
    for (info, text) in rows {
        assert_eq!(refusal(info), text);
    }
}

#[test]
fn checks_run_in_ironics_order() {
    let mut info = json!({
        "ipmi_address": "BAD", "ipmi_protocol_version": "3", "ipmi_terminal_port": "t", "ipmi_port": "p",
        "ipmi_bridging": "b", "ipmi_priv_level": "l", "ipmi_hex_kg_key": "k", "ipmi_cipher_suite": "c",
    });
    for (key, word) in [
        ("ipmi_protocol_version", "protocol version"),
        ("ipmi_terminal_port", "ipmi_terminal_port"),
        ("ipmi_port", "ipmi_port"),
        ("ipmi_bridging", "ipmi_bridging"),
        ("ipmi_priv_level", "privilege level"),
        ("ipmi_hex_kg_key", "ipmi_hex_kg_key"),
        ("ipmi_cipher_suite", "cipher suite"),
    ] {
        let text = refusal(info.clone());
        assert!(text.contains(word), "{text}");
        info.as_object_mut().unwrap().remove(key);
    }
    assert!(refusal(info).contains("Invalid IPMI address"));
}

#[test]
fn what_baton_cannot_do_is_said() {
    for suite in [0, 1, 2, 8] {
        let error = read(json!({"ipmi_cipher_suite": suite})).unwrap_err();
        assert!(
            matches!(&error, DriverInfoError::Unsupported(text) if text.contains("17")),
            "{error}"
        );
    }
    let error = read(json!({
        "ipmi_bridging": "single", "ipmi_target_channel": 1, "ipmi_target_address": 2,
    }))
    .unwrap_err();
    assert!(matches!(error, DriverInfoError::Unsupported(_)));
}

#[test]
fn lengths_are_limited_and_secrets_are_not_shown() {
    let long = "s3cr3t-s3cr3t-s3cr3t-";
    for info in [
        json!({"ipmi_password": long}),
        json!({"ipmi_password": &long[..17], "ipmi_protocol_version": "1.5"}),
        json!({"ipmi_username": &long[..17]}),
        json!({"ipmi_hex_kg_key": "zz"}),
        json!({"ipmi_hex_kg_key": "00".repeat(21)}),
    ] {
        let text = refusal(info);
        assert!(text.contains("ipmi_") && !text.contains("s3cr3t"), "{text}");
    }
    assert!(read(json!({"ipmi_password": &long[..20], "ipmi_username": &long[..16]})).is_ok());
}

#[test]
fn null_credentials_are_warned_about() {
    let none = warnings(NODE, &Map::new());
    assert_eq!(
        none,
        [
            format!(
                "ipmi_username is not defined or empty for node {NODE}: NULL user will be utilized."
            ),
            format!(
                "ipmi_password is not defined or empty for node {NODE}: NULL password will be utilized."
            ),
        ]
    );
}

#[test]
fn properties_say_what_is_required() {
    for (key, text) in properties() {
        assert!(key.starts_with("ipmi_"));
        assert!(
            text.contains("Required") || text.contains("Optional"),
            "{key}"
        );
    }
}
