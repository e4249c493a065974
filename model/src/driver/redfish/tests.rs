//! Ironic's texts for every key of a Redfish `driver_info`, row by row.

use super::*;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

const NODE: NodeId = NodeId(Uuid::from_u128(0x1be2_6c0b_03f2_4d2e_ae87_c02d_7f33_c123));
const NODE_TEXT: &str = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123";

fn parsed(info: &Value) -> Result<RedfishTarget, DriverInfoError> {
    parse(NODE, info.as_object().expect("an object"))
}

fn with(key: &str, value: Value) -> Result<RedfishTarget, DriverInfoError> {
    let mut info = json!({"redfish_address": "https://bmc.example.com"});
    info[key] = value;
    parsed(&info)
}

fn address(text: &str) -> (String, String) {
    let target = parsed(&json!({ "redfish_address": text })).expect(text);
    (target.origin.into(), target.root.into())
}

#[test]
fn fills_the_defaults() {
    let target = parsed(&json!({
        "redfish_address": "bmc.example.com", "redfish_username": "admin", "redfish_password": "pw",
    }))
    .expect("valid");
    assert_eq!(
        target,
        RedfishTarget {
            origin: "https://bmc.example.com".into(),
            root: "/redfish/v1/".into(),
            system_id: None,
            username: Some("admin".into()),
            password: Secret::new("pw".into()),
            auth: RedfishAuth::Auto,
            verify_ca: VerifyCa::Roots,
            tls_minimum: TlsMinimum::V1_2,
        }
    );
    assert!(!format!("{target:?}").contains("pw"));
}

#[test]
fn reads_addresses_as_ironic_does() {
    let root = "/redfish/v1/".to_owned();
    for (text, origin) in [
        ("1.2.3.4", "https://1.2.3.4"),
        ("1.2.3.4:8000", "https://1.2.3.4:8000"),
        ("http://Host_1:80/", "http://host_1:80"),
        ("HTTPS://bmc.example.com", "https://bmc.example.com"),
        ("fd00::1", "https://[fd00::1]"),
        ("[FD00::1]:8443", "https://[fd00::1]:8443"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ] {
        assert_eq!(address(text), (origin.to_owned(), root.clone()), "{text}");
    }
    assert_eq!(
        address("https://h:1/redfish/v1"),
        ("https://h:1".to_owned(), root)
    );
    assert_eq!(
        address("https://h/proxy/bmc7/redfish/v1/?x#y").1,
        "/proxy/bmc7/redfish/v1/"
    );
}

#[test]
fn refuses_a_missing_address() {
    for info in [
        json!({}),
        json!({"redfish_address": ""}),
        json!({"redfish_address": null}),
        json!({"redfish_address": 0}),
    ] {
        assert_eq!(
            parsed(&info),
            Err(DriverInfoError::Missing(format!(
                "Missing the following Redfish properties in node {NODE_TEXT} driver_info: ['redfish_address']"
            )))
        );
    }
}

#[test]
fn refuses_an_unusable_address() {
    let long = "h".repeat(2000);
    for bad in [
        json!(5),
        json!(["https://h"]),
        json!("http://"),
        json!("https:///redfish/v1"),
        json!("ftp://h"),
        json!("https://h:port"),
        json!("https://h:70000"),
        json!("https://h:0"),
        json!("https://h:1:2"),
        json!("https://[::1"),
        json!("https://[::1]x"),
        json!("https://[1.2.3.4]"),
        json!("two words"),
        json!("https://h/a b"),
        json!("https://h/\r\nX: y"),
        json!("h\u{e9}"),
        json!(long),
    ] {
        let error = parsed(&json!({ "redfish_address": bad })).expect_err("refused");
        let shown: String = python::display(&bad)
            .chars()
            .take(ADDRESS_BYTES_MAX)
            .collect();
        assert_eq!(
            error,
            DriverInfoError::Invalid(format!(
                "Invalid Redfish address {shown} set in driver_info/redfish_address on node {NODE_TEXT}"
            ))
        );
    }
}

#[test]
fn never_repeats_a_password_inside_an_address() {
    let error = parsed(&json!({"redfish_address": "https://root:calvin@h"})).expect_err("refused");
    assert_eq!(
        error.to_string(),
        format!(
            "Invalid Redfish address https://******@h set in driver_info/redfish_address on node {NODE_TEXT}"
        )
    );
}

#[test]
fn quotes_the_system_id_and_refuses_what_is_no_text() {
    let id = |value| with("redfish_system_id", value).map(|target| target.system_id);
    assert_eq!(
        id(json!("/redfish/v1/Systems/1")),
        Ok(Some("/redfish/v1/Systems/1".into()))
    );
    assert_eq!(
        id(json!("/Systems/a b%?#é")),
        Ok(Some("/Systems/a%20b%25%3F%23%C3%A9".into()))
    );
    assert_eq!(id(json!("Systems/1")), Ok(Some("/Systems/1".into())));
    assert_eq!(id(json!(null)), Ok(None));
    for bad in [json!(1), json!(true), json!(["/a"]), json!({"a": 1})] {
        assert_eq!(
            id(bad.clone()),
            Err(DriverInfoError::Invalid(format!(
                "Invalid value \"{}\" set in driver_info/redfish_system_id on node {NODE_TEXT}. The value should be a \
                 path (string) to the resource that the driver will interact with. For example: /redfish/v1/Systems/1",
                python::display(&bad)
            )))
        );
    }
}

#[test]
fn reads_verify_ca_in_all_its_forms() {
    let verify = |value| with("redfish_verify_ca", value).map(|target| target.verify_ca);
    for yes in [json!(true), json!("true"), json!("YES"), json!("1")] {
        assert_eq!(verify(yes), Ok(VerifyCa::Roots));
    }
    for no in [json!(false), json!("False"), json!("off"), json!("0")] {
        assert_eq!(verify(no), Ok(VerifyCa::Off));
    }
    assert_eq!(
        verify(json!("/etc/ca.pem")),
        Ok(VerifyCa::Path("/etc/ca.pem".into()))
    );
    for bad in [
        json!(1),
        json!(null),
        json!([true]),
        json!("maybe"),
        json!(""),
    ] {
        assert_eq!(
            verify(bad.clone()),
            Err(DriverInfoError::Invalid(format!(
                "Invalid value type set in driver_info/redfish_verify_ca on node {NODE_TEXT}. The value should be a \
                 Boolean or the path to a file/directory, not \"{}\"",
                python::display(&bad)
            )))
        );
    }
}

#[test]
fn asks_the_file_system_where_it_may() {
    let info = json!({"redfish_address": "h", "redfish_verify_ca": "/gone.pem"});
    let defaults = RedfishDefaults {
        path_exists: &|_| false,
        ..RedfishDefaults::default()
    };
    let error = parse_with(NODE, info.as_object().expect("object"), &defaults);
    assert!(
        matches!(error, Err(DriverInfoError::Invalid(text)) if text.ends_with("not \"/gone.pem\""))
    );
}

#[test]
fn reads_the_authentication_type() {
    let auth = |value| with("redfish_auth_type", value).map(|target| target.auth);
    assert_eq!(auth(json!("basic")), Ok(RedfishAuth::Basic));
    assert_eq!(auth(json!("session")), Ok(RedfishAuth::Session));
    assert_eq!(auth(json!("auto")), Ok(RedfishAuth::Auto));
    for bad in [json!("BASIC"), json!("digest"), json!(null), json!(1)] {
        assert_eq!(
            auth(bad.clone()),
            Err(DriverInfoError::Invalid(format!(
                "Invalid value \"{}\" set in driver_info/redfish_auth_type on node {NODE_TEXT}. The value should be \
                 one of \"basic\", \"session\" or \"auto\".",
                python::display(&bad)
            )))
        );
    }
}

#[test]
fn reads_the_tls_minimum() {
    let tls = |value| with("redfish_tls_minimum_version", value).map(|target| target.tls_minimum);
    assert_eq!(tls(json!("1.1")), Ok(TlsMinimum::V1_2));
    assert_eq!(tls(json!("1.2")), Ok(TlsMinimum::V1_2));
    assert_eq!(tls(json!("1.3")), Ok(TlsMinimum::V1_3));
    for bad in [json!("1.0"), json!(1.2), json!("tls1.2")] {
        assert_eq!(
            tls(bad.clone()),
            Err(DriverInfoError::Invalid(format!(
                "Invalid value \"{}\" set in driver_info/redfish_tls_minimum_version on node {NODE_TEXT}. The value \
                 should be one of \"1.1\", \"1.2\", or \"1.3\".",
                python::display(&bad)
            )))
        );
    }
}

#[test]
fn describes_every_key_and_says_whether_it_is_required() {
    for (key, text) in properties() {
        assert!(key.starts_with("redfish_"));
        assert!(
            text.contains("Required.") || text.contains("Optional"),
            "{key}"
        );
    }
    assert!(properties().is_sorted_by_key(|(key, _)| *key));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "(https?://)?[a-z:@\\[\\]./?#%0-9]{0,30}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,5}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn answers_any_driver_info(
        address in any_json(), id in any_json(), verify in any_json(), name in any_json(), word in any_json(),
    ) {
        let info = json!({
            "redfish_address": address, "redfish_system_id": id, "redfish_verify_ca": verify,
            "redfish_username": name, "redfish_password": word,
        });
        if let Ok(target) = parsed(&info) {
            prop_assert!(target.origin.starts_with("http"));
            prop_assert!(target.root.starts_with('/') && target.root.ends_with('/'));
            prop_assert!(target.root.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
