//! What an answer of the compute service means.
//!
//! Events (`POST /os-server-external-events`, Nova 34.0.0 `server_external_events.py`): 200 when it took every event, 207
//! when it did not, with a code for each; 400 for a body that breaks its schema, 413 for one that is too large, 403 for a
//! caller that its policy does not allow.

use crate::http::Answer;
use baton_model::node::power::PowerState;
use baton_model::port::compute::{ComputeError, ItemResult, PowerUpdate, ServerPower, Trouble};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// Words of a foreign answer that fit an error.
const WORDS_MAX: usize = 200;
/// `OS-EXT-STS:power_state` of Nova (`nova/compute/power_state.py`).
const NOVA_RUNNING: u64 = 1;
const NOVA_SHUTDOWN: u64 = 4;

#[derive(Deserialize)]
struct Events {
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    server_uuid: Uuid,
    code: u16,
}

/// The results of a batch, in its order.
pub(crate) fn events(
    batch: &[PowerUpdate],
    answer: &Answer,
) -> Result<Vec<ItemResult>, ComputeError> {
    if !matches!(answer.status, 200..=299) {
        return Err(failure(answer));
    }
    let garbled = |reason: String| ComputeError::Unavailable {
        trouble: Trouble::Garbled,
        reason: format!("HTTP {} with {reason}", answer.status).into(),
        retry_after: None,
    };
    let parsed: Events = serde_json::from_slice(&answer.body)
        .map_err(|error| garbled(format!("a body that is no list of events: {error}")))?;
    // A batch names each server once, so its results are found whatever their order.
    let codes: BTreeMap<Uuid, u16> = parsed
        .events
        .into_iter()
        .map(|event| (event.server_uuid, event.code))
        .collect();
    let result = |update: &PowerUpdate| {
        let code = codes.get(&update.instance).copied().map(ItemResult);
        code.ok_or_else(|| garbled(format!("no result for server {}", update.instance)))
    };
    batch.iter().map(result).collect()
}

#[derive(Deserialize)]
struct Shown {
    server: Server,
}

#[derive(Deserialize)]
struct Server {
    #[serde(rename = "OS-EXT-STS:power_state", default)]
    power_state: Option<u64>,
    #[serde(rename = "OS-EXT-STS:task_state", default)]
    task_state: Option<String>,
}

/// What a `GET /servers/{id}` tells.
pub(crate) fn server(answer: &Answer) -> Result<ServerPower, ComputeError> {
    match answer.status {
        404 => return Ok(ServerPower::Gone),
        200..=299 => {}
        _ => return Err(failure(answer)),
    }
    let shown: Shown =
        serde_json::from_slice(&answer.body).map_err(|error| ComputeError::Unavailable {
            trouble: Trouble::Garbled,
            reason: format!("a body that is no server: {error}").into(),
            retry_after: None,
        })?;
    Ok(ServerPower::Known {
        state: match shown.server.power_state {
            Some(NOVA_RUNNING) => Some(PowerState::On),
            Some(NOVA_SHUTDOWN) => Some(PowerState::Off),
            Some(_) | None => None,
        },
        busy: shown.server.task_state.is_some(),
    })
}

/// What a status that is no success means for the request as a whole.
pub(crate) fn failure(answer: &Answer) -> ComputeError {
    let code = answer.status;
    let reason = format!("HTTP {code} {}", words(&answer.body)).into();
    match code {
        // One of the events may be the cause.
        400 | 404 | 413 | 500 => ComputeError::Batch { code, reason },
        408 | 409 | 425 | 429 | 501..=599 => ComputeError::Unavailable {
            trouble: Trouble::Status(code),
            reason,
            retry_after: answer
                .headers
                .get("retry-after")
                .and_then(|value| value.to_str().ok()?.trim().parse().ok())
                .map(Duration::from_secs),
        },
        _ => ComputeError::Refused { code, reason },
    }
}

/// The message of an error body, or its beginning.
pub(crate) fn words(body: &[u8]) -> String {
    let message = serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|value| {
            // {"itemNotFound": {"code": 404, "message": "…"}}, Keystone: {"error": {…}}.
            let inner = value.as_object()?.values().next()?;
            inner.get("message")?.as_str().map(str::to_owned)
        });
    let text = message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(WORDS_MAX)
        .collect();
    clean.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::HeaderMap;

    fn answer(status: u16, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().unwrap());
        Answer {
            status,
            headers,
            body: body.to_owned().into(),
        }
    }

    fn batch() -> [PowerUpdate; 2] {
        [1, 2].map(|n| PowerUpdate {
            instance: Uuid::from_u128(n),
            state: PowerState::On,
        })
    }

    #[test]
    fn results_are_matched_by_server() {
        let body = r#"{"events": [
            {"name": "power-update", "status": "failed", "code": 404, "tag": "POWER_ON",
             "server_uuid": "00000000-0000-0000-0000-000000000002"},
            {"name": "power-update", "status": "completed", "code": 200, "tag": "POWER_ON",
             "server_uuid": "00000000-0000-0000-0000-000000000001"}]}"#;
        let results = events(&batch(), &answer(207, body)).unwrap();
        assert_eq!(results, [ItemResult(200), ItemResult(404)]);
    }

    #[test]
    fn statuses_are_sorted_by_what_they_mean_for_the_batch() {
        for (code, label) in [
            (400, "Batch"),
            (404, "Batch"),
            (413, "Batch"),
            (500, "Batch"),
            (401, "Refused"),
            (403, "Refused"),
            (406, "Refused"),
            (302, "Refused"),
            (409, "Unavailable"),
            (429, "Unavailable"),
            (502, "Unavailable"),
            (503, "Unavailable"),
            (504, "Unavailable"),
        ] {
            let error = events(&batch(), &answer(code, "{}")).unwrap_err();
            assert!(format!("{error:?}").starts_with(label), "{code}: {error:?}");
        }
        let busy = events(&batch(), &answer(429, "")).unwrap_err();
        assert!(
            format!("{busy:?}").contains("retry_after: Some(7s)"),
            "{busy:?}"
        );
    }

    #[test]
    fn answers_to_another_question_are_garbled() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"events": []}"#,
            r#"{"events": [{"code": 200}]}"#,
        ] {
            let error = events(&batch(), &answer(200, body)).unwrap_err();
            assert_eq!(error.label(), "garbled", "{body}");
        }
    }

    #[test]
    fn a_servers_state_and_task_are_read() {
        let shown = |body| server(&answer(200, body)).unwrap();
        let known = |state, busy| ServerPower::Known { state, busy };
        let on = r#"{"server": {"OS-EXT-STS:power_state": 1, "OS-EXT-STS:task_state": null}}"#;
        assert_eq!(shown(on), known(Some(PowerState::On), false));
        let off =
            r#"{"server": {"OS-EXT-STS:power_state": 4, "OS-EXT-STS:task_state": "rebuilding"}}"#;
        assert_eq!(shown(off), known(Some(PowerState::Off), true));
        assert_eq!(shown(r#"{"server": {}}"#), known(None, false));
        assert_eq!(server(&answer(404, "")).unwrap(), ServerPower::Gone);
    }

    #[test]
    fn words_are_short_and_clean() {
        let body = br#"{"error": {"code": 401, "message": "The request\nneeds authentication."}}"#;
        assert_eq!(words(body), "The request needs authentication.");
        assert_eq!(words(&[b'x'; 9999]).len(), WORDS_MAX);
    }
}
