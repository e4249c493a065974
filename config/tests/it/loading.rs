//! Precedence of defaults, file and environment, and what `config show` says about it.

use crate::{env, parse};
use baton_config::{Config, Environment};
use std::time::Duration;

#[test]
fn the_environment_is_stronger_than_the_file_and_the_file_than_the_default() {
    let text = "[conductor]\nsync_power_state_interval = 90\npower_state_sync_max_retries = 5\n";
    let env = env(&[
        ("BATON__CONDUCTOR__SYNC_POWER_STATE_INTERVAL", "60"),
        (
            "BATON__DEFAULT__ENABLED_HARDWARE_TYPES",
            "ipmi, fake-hardware",
        ),
        ("BATON__CONDUCTOR__FORCE_POWER_STATE_DURING_SYNC", "False"),
        ("HOME", "/nowhere"),
    ]);
    let config = Config::parse("baton.toml", text, &env).expect("valid");
    assert_eq!(
        config.conductor.sync_power_state_interval,
        Some(Duration::from_secs(60))
    );
    assert_eq!(config.conductor.power_state_sync_max_retries, 5);
    assert_eq!(
        config.default.enabled_hardware_types,
        ["ipmi", "fake-hardware"]
    );
    assert!(!config.conductor.force_power_state_during_sync);
    assert_eq!(
        config.conductor.soft_power_off_timeout,
        Duration::from_secs(600)
    );
}

#[test]
fn show_tells_where_each_value_came_from_and_hides_credentials() {
    let text = "[nova]\npassword = \"hunter2\"\n\n[api]\nport = 8080\n";
    let env = env(&[("BATON__API__MAX_LIMIT", "50")]);
    let config = Config::parse("baton.toml", text, &env).expect("valid");
    let shown = config.show();
    assert!(!shown.contains("hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));
    let line = |start: &str| {
        let found = shown
            .lines()
            .find(|line| line.starts_with(start))
            .expect("shown");
        found.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("password"), "password = \"***\" # file, line 2");
    assert_eq!(line("port"), "port = 8080 # file, line 5");
    assert_eq!(
        line("max_limit"),
        "max_limit = 50 # environment, BATON__API__MAX_LIMIT"
    );
    assert_eq!(line("restrict_lookup"), "restrict_lookup = true # default");
    assert_eq!(
        line("# public_endpoint"),
        "# public_endpoint is unset # default"
    );
    parse(&shown).expect("what is shown can be read again");
}

#[test]
fn options_without_effect_yet_are_named_in_a_warning() {
    let config = parse("[DEFAULT]\npin_release_version = \"2025.2\"\n").expect("valid");
    assert_eq!(
        config.warnings(),
        ["`DEFAULT.pin_release_version` is accepted but has no effect in this version"]
    );
    assert_eq!(parse("").expect("valid").warnings(), Vec::<String>::new());
}

#[test]
fn an_empty_variable_unsets_an_optional_option() {
    let env = env(&[("BATON__API__PUBLIC_ENDPOINT", "")]);
    let text = "[api]\npublic_endpoint = \"https://bare.example\"\n";
    let config = Config::parse("baton.toml", text, &env).expect("valid");
    assert_eq!(config.api.public_endpoint, None);
}

#[test]
fn the_host_is_the_configured_one_or_the_machines() {
    assert_eq!(
        parse("[DEFAULT]\nhost = \"c1\"\n").expect("valid").host(),
        "c1"
    );
    assert!(!Config::default().host().is_empty());
}

#[test]
fn tables_hold_priorities_by_step() {
    let text = "[conductor.clean_step_priority_override]\n\"deploy.erase_devices\" = 0\n";
    let config = parse(text).expect("valid");
    assert_eq!(
        config.conductor.clean_step_priority_override["deploy.erase_devices"],
        0
    );
}

#[test]
fn the_variables_own_debug_shows_names_only() {
    let env: Environment = env(&[("BATON__NOVA__PASSWORD", "hunter2")]);
    assert_eq!(format!("{env:?}"), "{\"BATON__NOVA__PASSWORD\"}");
}
