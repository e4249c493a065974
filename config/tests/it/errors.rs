//! Every problem is told at once, with its place and what to do.

use crate::{env, parse, problems};
use baton_config::{Config, Environment};

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_the_file() {
    let text = r#"
[conductor]
sync_power_state_intervall = 60
power_state_change_timeout = 1
heartbeat_timeout = 60
force_power_state_during_sync = "yes"

[api]
port = 99999

[conducter]
rack = "a"
host = "b"

[oslo_messaging_rabbit]
rabbit_host = "r"
"#;
    assert_eq!(
        problems(text),
        [
            "baton.toml:3: unknown key `conductor.sync_power_state_intervall`: did you mean `sync_power_state_interval`?",
            "baton.toml:4: `conductor.power_state_change_timeout` = 1 is out of range: at least 2 (number of seconds)",
            "baton.toml:5: `conductor.heartbeat_timeout` belongs to Ironic and baton does not have it: a conductor counts as dead when its session ends, see `cluster.session_ttl_ms` (milliseconds)",
            "baton.toml:6: `conductor.force_power_state_during_sync` = \"yes\" is not true or false",
            "baton.toml:9: `api.port` = 99999 is out of range: 0 to 65535",
            "baton.toml:12: unknown section `[conducter]`: did you mean `[conductor]`?",
            "baton.toml:16: `[oslo_messaging_rabbit]` belongs to Ironic and baton does not have it: baton has no message broker; conductors speak to each other directly, see `[cluster]`",
        ]
    );
}

#[test]
fn the_report_names_codes_and_says_that_nothing_happened() {
    let report = parse("[api]\nport = -1")
        .expect_err("out of range")
        .to_string();
    assert_eq!(
        report,
        "the configuration has a problem:\n  \
         baton.toml:2: `api.port` = -1 is out of range: 0 to 65535 [CFG-105]\n\
         `baton explain CFG-105` tells more; nothing was started or changed"
    );
}

#[test]
fn a_key_in_the_wrong_section_or_in_none_is_sent_home() {
    assert_eq!(
        problems("[DEFAULT]\nrack = \"a\"\n"),
        ["baton.toml:2: unknown key `DEFAULT.rack`: it belongs into `[conductor]`"]
    );
    assert_eq!(
        problems("rack = \"a\"\n"),
        [
            "baton.toml:1: unknown key `rack` outside of a section: options stand under a heading such as `[conductor]`"
        ]
    );
}

#[test]
fn syntax_errors_have_their_line_and_ini_files_a_hint() {
    let found = problems("[DEFAULT]\nhost = conductor-1\n");
    assert!(
        found[0].starts_with("baton.toml:2: not valid TOML: "),
        "{found:?}"
    );
    assert!(found[0].contains("a text stands in quotes"), "{found:?}");
    let found = problems("[DEFAULT]\nenabled_hardware_types = ipmi,redfish\ndebug = True\n");
    assert_eq!(found.len(), 2, "one for each line: {found:?}");
    let found = problems("[a\n");
    assert!(
        found[0].starts_with("baton.toml:1: not valid TOML: "),
        "{found:?}"
    );
}

#[test]
fn values_of_another_kind_are_refused_and_credentials_never_shown() {
    assert_eq!(
        problems("[nova]\npassword = 12345\n"),
        ["baton.toml:2: `nova.password` = *** is not a secret text"]
    );
    assert_eq!(
        problems("[fake]\npower_delay = \"5,1\"\n"),
        [
            "baton.toml:2: `fake.power_delay` = \"5,1\" ends before it begins: write the shorter delay first"
        ]
    );
    assert_eq!(
        problems("[conductor]\ndisallowed_deployment_boot_modes = [\"uefi\", \"efi\"]\n"),
        [
            "baton.toml:2: `conductor.disallowed_deployment_boot_modes` = [\"uefi\", \"efi\"] has an item that does not fit: \"efi\" is not one of `uefi`, `bios`"
        ]
    );
    assert_eq!(
        problems("[conductor]\nrack = 2026-11-22\n"),
        [
            "baton.toml:2: `conductor.rack` = 2026-11-22 is a date or a number that no option can hold"
        ]
    );
    let long = format!("[api]\nport = \"{}\"\n", "x".repeat(500));
    assert!(problems(&long)[0].len() < 200);
}

#[test]
fn contradictions_point_to_the_option_that_was_set() {
    assert_eq!(
        problems("[cluster]\nelection_timeout_min_ms = 700\n"),
        [
            "baton.toml:2: `cluster.election_timeout_min_ms` must be lower than `election_timeout_max_ms`: equal timeouts let two candidates split the vote again and again"
        ]
    );
    assert_eq!(
        problems(
            "[DEFAULT]\nenabled_power_interfaces = [\"redfish\", \"ipmitool\"]\ndefault_power_interface = \"fake\"\n"
        ),
        [
            "baton.toml:3: `DEFAULT.default_power_interface` = \"fake\" is not among `DEFAULT.enabled_power_interfaces`"
        ]
    );
    assert_eq!(
        problems("[DEFAULT]\nenabled_storage_interfaces = []\n"),
        [
            "baton.toml:2: `DEFAULT.default_storage_interface` = \"noop\" is not among `DEFAULT.enabled_storage_interfaces`"
        ]
    );
    assert_eq!(
        problems("[DEFAULT]\nenabled_hardware_types = [\"ipmi\", \"idrac\"]\n"),
        [
            "baton.toml:2: [DEFAULT]enabled_hardware_types names \"idrac\", which is no hardware type; there are fake-hardware, ipmi, manual-management, redfish"
        ]
    );
    assert_eq!(
        problems("[api]\nport = 6386\n"),
        ["baton.toml:2: `api.host_ip` and `api.port` and `admin.listen` both claim port 6386"]
    );
    assert_eq!(
        problems("[cluster]\ncert_file = \"/c\"\n"),
        [
            "baton.toml:2: `cluster.ca_file`, `cert_file` and `key_file` go together: set all three or none"
        ]
    );
}

#[test]
fn nothing_listens_in_the_clear_off_loopback() {
    let cluster = problems("[cluster]\nlisten = \"10.0.0.1:6387\"\n");
    assert!(
        cluster[0].contains("`cluster.listen` = 10.0.0.1:6387")
            && cluster[0].contains("baton cluster certs"),
        "{cluster:?}"
    );
    let tls = "ca_file = \"/a\"\ncert_file = \"/b\"\nkey_file = \"/c\"\n";
    let host = "[DEFAULT]\nhost = \"c1.rack2\"\n";
    let config = format!("{host}[cluster]\nlisten = \"10.0.0.1:6387\"\n{tls}");
    assert!(parse(&config).is_ok());
    let named = problems(&format!("[DEFAULT]\nhost = \"rack 2\"\n[cluster]\n{tls}"));
    assert!(
        named[0].contains("`DEFAULT.host` = \"rack 2\""),
        "{named:?}"
    );
    let admin = "[admin]\nlisten = \"0.0.0.0:6386\"\n";
    let token = "token = \"s3cret\"\n";
    let open = problems(admin);
    assert!(open[0].contains("set `admin.cert_file`"), "{open:?}");
    assert!(open[1].contains("set `admin.token`"), "{open:?}");
    let files = "cert_file = \"a\"\nkey_file = \"b\"\n";
    let empty = problems(&format!("{admin}{files}token = \"\"\n"));
    assert!(empty[0].contains("set `admin.token`"), "{empty:?}");
    let half = problems(&format!("{admin}{token}cert_file = \"a\"\n"));
    assert!(half[0].contains("set both or none"), "{half:?}");
    let plain = problems(&format!("{admin}{token}"));
    assert!(plain[0].contains("allow_plain_http"), "{plain:?}");
    assert!(parse(&format!("{admin}{token}{files}")).is_ok());
    assert!(parse(&format!("{admin}{token}allow_plain_http = true\n")).is_ok());
}

#[test]
fn a_wrong_variable_is_reported_by_its_name() {
    let env = env(&[
        ("BATON__API__PRT", "1"),
        ("BATON__CLUSTER__SESSION_TTL_MS", "soon"),
        ("BATON__X", ""),
    ]);
    let errors = Config::parse("baton.toml", "", &env).expect_err("both are wrong");
    let found: Vec<_> = errors.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "environment variable BATON__API__PRT: unknown key `api.prt`: did you mean `port`?",
            "environment variable BATON__CLUSTER__SESSION_TTL_MS: `cluster.session_ttl_ms` = \"soon\" is not a whole number of milliseconds",
            "environment variable BATON__X: unknown section `[x]`",
        ]
    );
}

#[test]
fn a_file_that_is_missing_or_not_text_is_a_problem_and_no_panic() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let missing = directory.path().join("missing.toml");
    let error = Config::load(Some(&missing), &Environment::empty()).expect_err("missing");
    assert!(
        error.to_string().contains("cannot be read: No such file"),
        "{error}"
    );

    let binary = directory.path().join("binary.toml");
    std::fs::write(&binary, [0xff, 0xfe, 0x00]).expect("written");
    let error = Config::load(Some(&binary), &Environment::empty()).expect_err("not UTF-8");
    assert!(error.to_string().contains("cannot be read"), "{error}");

    let huge = directory.path().join("huge.toml");
    std::fs::write(&huge, vec![b'\n'; 2 << 20]).expect("written");
    let error = Config::load(Some(&huge), &Environment::empty()).expect_err("too large");
    assert!(
        error.to_string().contains("is it the right file?"),
        "{error}"
    );
}
