//! The clients: random requests at random conductors, through the ports that the public API uses.

mod history;
mod perform;

pub use history::{Ask, Call, History, Told};
pub use perform::request_id;

use crate::rng::Rng;
use crate::trace::Trace;
use crate::world::net::Host;
use crate::world::process::Process;
use baton_model::ids::NodeId;
use baton_model::node::power::PowerRequest;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Between two requests, in milliseconds.
const PAUSE_MS: (u64, u64) = (40, 400);

/// See the module.
pub struct Workload {
    chance: Rng,
    trace: Trace,
    history: History,
    /// Every node and the address of its BMC.
    nodes: Vec<(NodeId, Box<str>)>,
    next_at: u64,
}

impl Workload {
    /// Clients of `machines` nodes, none of which is enrolled yet.
    #[must_use]
    pub fn new(mut chance: Rng, trace: Trace, machines: u64) -> Self {
        let nodes = (1..=machines)
            .map(|number| {
                let bits = u128::from(chance.bits()) << 64 | u128::from(chance.bits());
                let id = uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid();
                let address = format!("192.0.2.{number}");
                (NodeId(Uuid::from_u128(id.as_u128())), address.into())
            })
            .collect();
        Self {
            chance,
            trace,
            history: History::default(),
            nodes,
            next_at: 0,
        }
    }

    /// Every node and the address of its BMC.
    #[must_use]
    pub fn nodes(&self) -> &[(NodeId, Box<str>)] {
        &self.nodes
    }

    /// What was asked and told.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Sends a request if one is due. Only conductors that have started are asked.
    pub fn step(&mut self, now: u64, processes: &BTreeMap<Host, Process>) {
        if now < self.next_at {
            return;
        }
        self.next_at = now + self.chance.between(PAUSE_MS.0, PAUSE_MS.1);
        let Some((mut node, _)) = self.chance.pick(&self.nodes).cloned() else {
            return;
        };
        let ask = match self.chance.below(100) {
            0..35 => Ask::Power(
                *self
                    .chance
                    .pick(&[
                        PowerRequest::On,
                        PowerRequest::Off,
                        PowerRequest::Reboot,
                        PowerRequest::Reboot,
                    ])
                    .unwrap_or(&PowerRequest::On),
            ),
            35..75 => Ask::Write(format!("w{}", self.chance.bits() % 1_000_000_007)),
            // Half of the reads ask for what somebody was just told is written.
            kind => {
                let written = self.history.last_written().filter(|_| kind < 88);
                node = written.unwrap_or(node);
                if written.is_some() {
                    self.next_at = now + PAUSE_MS.0 / 4;
                }
                Ask::Read
            }
        };
        self.send(now, node, ask, processes);
    }

    /// Sends this request to a random conductor.
    pub fn send(&mut self, now: u64, node: NodeId, ask: Ask, processes: &BTreeMap<Host, Process>) {
        let hosts: Vec<Host> = processes.keys().copied().collect();
        let Some(host) = self.chance.pick(&hosts).copied() else {
            return;
        };
        let process = processes.get(&host);
        let Some((process, conductor)) =
            process.and_then(|process| process.conductor().map(|conductor| (process, conductor)))
        else {
            return;
        };
        let address = self.nodes.iter().find(|(id, _)| *id == node);
        let address = address
            .map(|(_, address)| address.clone())
            .unwrap_or_default();
        let call = Call {
            host,
            node,
            ask: ask.clone(),
            from: now,
            told: None,
        };
        let number = self.history.begin(call);
        let short: String = node.to_string().chars().take(8).collect();
        self.trace.note(format_args!(
            "request {number} to conductor {host}: {ask} {short}"
        ));
        let (history, trace) = (self.history.clone(), self.trace.clone());
        process.spawn(async move {
            let told = perform::perform(&conductor, node, &address, number, ask).await;
            trace.note(format_args!("request {number} is answered: {told}"));
            history.end(number, trace.now(), told);
        });
    }
}
