//! The leader is killed while clients read and command machines: each of their calls sees at most one error that tells when
//! to try again, and then succeeds.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use crate::rolling::send;
use crate::support::{Dev, eventually, get};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// Clients at work, each with a machine of its own.
const CLIENTS: usize = 4;

/// Repeats one call until it succeeds, as clients do; how often it was told to try again later.
#[expect(
    clippy::disallowed_methods,
    reason = "a client waits as long as it was told"
)]
fn call(
    ports: &[u16],
    turn: usize,
    (method, path, body): (&str, &str, &str),
) -> Result<u32, String> {
    let mut put_off = 0;
    // A machine whose last work was under way at the kill is locked until that is over.
    for attempt in 0..60 {
        let (status, text) = send(ports, turn + attempt, method, path, body);
        let head = text.to_ascii_lowercase();
        match status {
            200 | 202 => return Ok(put_off),
            503 if head.contains("\r\nretry-after: 1\r\n") => put_off += 1,
            // Whoever had the connection is dead, or the machine is locked by this client's own last command.
            0 | 409 => {}
            _ => return Err(format!("{method} {path}: {text}")),
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    Err(format!("{method} {path} never succeeded"))
}

fn work(
    ports: &[u16],
    name: &str,
    stop: &AtomicBool,
    done: &AtomicU32,
    wrong: &Mutex<Vec<String>>,
) {
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        let target = ["power on", "power off"][turn % 2];
        let node = format!("/v1/nodes/{name}");
        let power = format!("{node}/states/power");
        let command = format!("{{\"target\":\"{target}\"}}");
        let edit = format!("[{{\"op\":\"add\",\"path\":\"/extra/turn\",\"value\":{turn}}}]");
        for asked in [
            ("GET", node.as_str(), ""),
            ("PATCH", node.as_str(), edit.as_str()),
            ("PUT", power.as_str(), command.as_str()),
        ] {
            match call(ports, turn, asked) {
                Ok(0 | 1) => {}
                Ok(times) => wrong
                    .lock()
                    .unwrap()
                    .push(format!("{asked:?} was put off {times} times")),
                Err(error) => wrong.lock().unwrap().push(error),
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
        turn += 1;
    }
}

#[test]
fn a_call_is_put_off_once_at_most_when_the_leader_dies() {
    let data = tempfile::tempdir().expect("a directory");
    let mut dev = Dev::start(6, data.path());
    let ports: Vec<u16> = (1..=3).map(|conductor| dev.api(conductor)).collect();
    let names: Vec<String> = dev.nodes(1).into_keys().take(CLIENTS).collect();
    let (stop, done) = (AtomicBool::new(false), AtomicU32::new(0));
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| work(&ports, name, &stop, &done, &wrong));
        }
        let more = || {
            let before = done.load(Ordering::Relaxed);
            eventually("the clients to go on", || {
                (done.load(Ordering::Relaxed) >= before + 30).then_some(())
            });
        };
        more();
        let leader = eventually("a leader", || {
            let told = get(dev.admin(1), "/admin/v1/cluster")?["leader"].as_u64()?;
            u8::try_from(told).ok().filter(|leader| *leader <= 3)
        });
        let command = dev.kill(leader);
        more();
        dev.restart(&command);
        more();
        stop.store(true, Ordering::Relaxed);
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
    dev.stop();
}
