//! Routes that change machines: power, sessions, credentials, and the switch in front of them all.

use super::{Farm, Outcome, Problem, each, number, ok, parse, view, with};
use crate::sim::account::Account;
use crate::sim::farm::Shared;
use crate::sim::journal::{Origin, Via};
use crate::sim::switch::SwitchLimits;
use axum::body::Bytes;
use axum::extract::{Path, State};
use baton_model::port::bmc::PowerAction;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

// --- Power --------------------------------------------------------------------------------------

/// How the control endpoint changes power.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum How {
    /// At once, telling nobody.
    #[default]
    BehindTheBack,
    /// As a command, with the machine's delays.
    Command,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Wanted {
    On,
    Off,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PowerBody {
    state: Wanted,
    #[serde(default)]
    how: How,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PowerOfBody {
    machines: String,
    #[serde(default)]
    fraction: Option<f64>,
    state: Wanted,
    #[serde(default)]
    how: How,
}

fn change_power(farm: &Shared, machine: u32, state: Wanted, how: How) -> Result<(), Problem> {
    let on = matches!(state, Wanted::On);
    with(farm, machine, |bmc, now| match how {
        How::BehindTheBack => bmc.force_power(now, on),
        How::Command => {
            let action = if on {
                PowerAction::On
            } else {
                PowerAction::Off
            };
            let origin = Origin {
                via: Via::Control,
                ..Origin::BEHIND_THE_BACK
            };
            bmc.control(now, action, origin);
        }
    })
}

pub(super) async fn set_power(
    State(farm): Farm,
    Path(machine): Path<String>,
    body: Bytes,
) -> Outcome {
    let machine = number(&farm, &machine)?;
    let PowerBody { state, how } = parse(&body)?;
    change_power(&farm, machine, state, how)?;
    match view::summary(&farm, machine) {
        Some(body) => ok(&body),
        None => Err(Problem::no_machine(&machine.to_string(), farm.total())),
    }
}

pub(super) async fn set_power_of(State(farm): Farm, body: Bytes) -> Outcome {
    let body: PowerOfBody = parse(&body)?;
    each(&farm, &body.machines, body.fraction, |machine| {
        change_power(&farm, machine, body.state, body.how)
    })
}

// --- Sessions and credentials -------------------------------------------------------------------

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsBody {
    username: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsOfBody {
    machines: String,
    #[serde(default)]
    fraction: Option<f64>,
    username: String,
    password: String,
}

pub(super) async fn end_sessions(State(farm): Farm, Path(machine): Path<String>) -> Outcome {
    let machine = number(&farm, &machine)?;
    with(&farm, machine, |bmc, _| bmc.end_sessions())?;
    ok(&json!({"machine": machine, "sessions": []}))
}

pub(super) async fn set_credentials(
    State(farm): Farm,
    Path(machine): Path<String>,
    body: Bytes,
) -> Outcome {
    let machine = number(&farm, &machine)?;
    let CredentialsBody { username, password } = parse(&body)?;
    let accounts: Arc<[Account]> = [Account::administrator(&username, &password)].into();
    with(&farm, machine, |bmc, _| bmc.set_accounts(accounts))?;
    ok(&json!({"machine": machine, "username": username}))
}

pub(super) async fn set_credentials_of(State(farm): Farm, body: Bytes) -> Outcome {
    let body: CredentialsOfBody = parse(&body)?;
    let accounts: Arc<[Account]> = [Account::administrator(&body.username, &body.password)].into();
    each(&farm, &body.machines, body.fraction, |machine| {
        with(&farm, machine, |bmc, _| {
            bmc.set_accounts(Arc::clone(&accounts));
        })
    })
}

// --- The switch ---------------------------------------------------------------------------------

pub(super) async fn show_switch(State(farm): Farm) -> Outcome {
    match farm.switch() {
        Some((limits, passed, lost)) => {
            ok(&json!({"limits": limits, "passed": passed, "lost": lost}))
        }
        None => ok(&json!({"limits": null})),
    }
}

pub(super) async fn set_switch(State(farm): Farm, body: Bytes) -> Outcome {
    let limits: SwitchLimits = parse(&body)?;
    if limits.packets_per_s == 0 {
        return Err(Problem::bad("`packets_per_s` must be at least 1"));
    }
    farm.set_switch(Some(limits));
    ok(&json!({"limits": limits, "passed": 0, "lost": 0}))
}

pub(super) async fn remove_switch(State(farm): Farm) -> Outcome {
    farm.set_switch(None);
    ok(&json!({"limits": null}))
}
