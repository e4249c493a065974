//! Every conductor is stopped and started again, one after another, while clients read and command machines: no request
//! fails, no work fails, and nothing that was acknowledged is lost.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests")]

use crate::support::{Dev, eventually};
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Clients at work, each with machines of its own.
const CLIENTS: usize = 4;

/// One request to whichever conductor takes the connection, as through a load balancer; its status and body. What breaks
/// off after it was sent is an error.
pub(crate) fn send(
    ports: &[u16],
    first: usize,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, String) {
    for at in 0..100 {
        let port = ports[(first + at) % ports.len()];
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
            continue;
        };
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("supported");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\n\
             x-openstack-ironic-api-version: 1.90\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut answer = Vec::new();
        let sent = stream.write_all(request.as_bytes());
        let read = sent.and_then(|()| stream.read_to_end(&mut answer));
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text.get(9..12).and_then(|status| status.parse().ok());
        return match status {
            Some(status) => (status, text),
            // A connection that stood in the queue of a listener that closed carried nothing anywhere.
            None if read.is_err() && answer.is_empty() => continue,
            None => (0, format!("broken off: {read:?} {text}")),
        };
    }
    (0, "no conductor takes connections".to_owned())
}

/// Commands and reads its machines until it is told to stop; what each was told last.
fn work(
    ports: &[u16],
    names: &[String],
    stop: &AtomicBool,
    sent: &AtomicU32,
    errors: &Mutex<Vec<String>>,
) -> Vec<(String, &'static str)> {
    let mut told: Vec<(String, &'static str)> = Vec::new();
    let mut turn = 0_usize;
    while !stop.load(Ordering::Relaxed) {
        let name = &names[turn % names.len()];
        let target = ["power on", "power off"][turn / names.len() % 2];
        let requests = [
            ("GET", format!("/v1/nodes/{name}"), String::new(), 200),
            (
                "PUT",
                format!("/v1/nodes/{name}/states/power"),
                format!("{{\"target\":\"{target}\"}}"),
                202,
            ),
            (
                "PATCH",
                format!("/v1/nodes/{name}"),
                format!("[{{\"op\":\"add\",\"path\":\"/extra/turn\",\"value\":{turn}}}]"),
                200,
            ),
        ];
        for (at, (method, path, body, wanted)) in requests.into_iter().enumerate() {
            let (status, text) = send(ports, turn + at, method, &path, &body);
            sent.fetch_add(1, Ordering::Relaxed);
            if status != wanted {
                errors
                    .lock()
                    .unwrap()
                    .push(format!("{method} {path}: {text}"));
            }
        }
        told.retain(|(told, _)| told != name);
        told.push((name.clone(), target));
        turn += 1;
    }
    told
}

/// The nodes of a host, as a conductor sees it.
fn owned(dev: &Dev, by: u8, host: &str) -> BTreeSet<String> {
    dev.nodes(by)
        .into_iter()
        .filter(|(_, node)| node["conductor"] == host)
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn a_rolling_restart_under_load_is_uneventful() {
    let data = tempfile::tempdir().expect("a directory");
    let mut dev = Dev::start(12, data.path());
    let ports: Vec<u16> = (1..=3).map(|conductor| dev.api(conductor)).collect();
    let names: Vec<String> = dev.nodes(1).into_keys().collect();
    let stop = Arc::new(AtomicBool::new(false));
    let errors = Arc::new(Mutex::new(Vec::new()));
    let sent = Arc::new(AtomicU32::new(0));
    let clients: Vec<_> = names
        .chunks(names.len() / CLIENTS)
        .map(|names| {
            let (ports, names) = (ports.clone(), names.to_vec());
            let (stop, errors, sent) = (stop.clone(), errors.clone(), sent.clone());
            std::thread::spawn(move || work(&ports, &names, &stop, &sent, &errors))
        })
        .collect();

    for conductor in 1..=3 {
        let other = conductor % 3 + 1;
        let host = format!("conductor-{conductor}");
        // By chance a conductor may own none of twelve nodes; then nothing is to come back to it.
        let share = owned(&dev, other, &host);
        let command = dev.terminate(conductor);
        eventually("everything to be owned by the others", || {
            let nodes = dev.nodes(other);
            let elsewhere = |node: &serde_json::Value| {
                node["conductor"].is_string() && node["conductor"] != host.as_str()
            };
            (nodes.len() == 12 && nodes.values().all(elsewhere)).then_some(())
        });
        let before = sent.load(Ordering::Relaxed);
        eventually("some requests without it", || {
            (sent.load(Ordering::Relaxed) > before + 20).then_some(())
        });
        dev.restart(&command);
        eventually("it to own its share again", || {
            (dev.nodes(conductor).len() == 12 && owned(&dev, conductor, &host) == share)
                .then_some(())
        });
    }
    stop.store(true, Ordering::Relaxed);
    let told: Vec<_> = clients
        .into_iter()
        .flat_map(|client| client.join().expect("no panic"))
        .collect();
    let errors = errors.lock().unwrap();
    let sent = sent.load(Ordering::Relaxed);
    assert!(
        errors.is_empty(),
        "{} of {sent}: {:#?}",
        errors.len(),
        *errors
    );
    eventually("every machine to be as it was told last", || {
        let nodes = dev.nodes(1);
        let done = |(name, target): &(String, &str)| {
            nodes[name]["power_state"] == *target && nodes[name]["reservation"].is_null()
        };
        (nodes.len() == 12 && told.iter().all(done)).then_some(())
    });
    for (name, node) in dev.nodes(1) {
        assert_eq!(node["last_error"], serde_json::Value::Null, "{name}");
    }
    dev.stop();
}
