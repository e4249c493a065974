//! What SIGHUP may change.

use crate::parse;
use baton_config::{Config, diff_live};

#[test]
fn live_options_change_and_are_listed() {
    let new = parse("[conductor]\nsync_power_state_interval = 60\n\n[log]\nlevel = \"debug\"\n");
    let change = diff_live(&Config::default(), &new.expect("valid")).expect("both are live");
    let told: Vec<_> = change
        .changes
        .iter()
        .map(|change| {
            format!(
                "{}.{}: {} -> {}",
                change.section, change.key, change.from, change.to
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "conductor.sync_power_state_interval: 120 -> 60",
            "log.level: \"info\" -> \"debug\""
        ]
    );
    assert_eq!(change.config.log.level, "debug");
}

#[test]
fn one_option_that_is_not_live_refuses_the_reload_with_its_reason() {
    let new = parse("[conductor]\nsync_power_state_interval = 60\n\n[api]\nport = 80\n");
    let refused = diff_live(&Config::default(), &new.expect("valid")).expect_err("port is fixed");
    let told: Vec<_> = refused.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "`api.port` cannot change from 6385 to 80 while baton runs: the listener is bound when \
          the conductor starts; restart this conductor to apply it"
        ]
    );
}

#[test]
fn a_changed_credential_is_noticed_and_not_shown() {
    let new = parse("[nova]\npassword = \"hunter2\"\n").expect("valid");
    let refused = diff_live(&Config::default(), &new).expect_err("not live");
    assert!(
        refused[0].to_string().contains("from unset to ***"),
        "{}",
        refused[0]
    );
}
