//! One whole simulated BMC: its two faces over one core, with the injected faults between them and the wire.
//!
//! Pure as well: sockets are in [`super::farm`], simulated time in the chaos harness. Whoever drives it carries out
//! the [`Reaction`]: waits, sends, keeps silent or breaks the connection.

use super::account::{Account, Guard};
use super::core::{Contacts, Core, Counters, Limits};
use super::draw::Draw;
use super::fault::{Fault, FaultKind, Faults};
use super::ipmi::{Exchange, IpmiFace};
use super::journal::Origin;
use super::machine::{Machine, Timing};
use super::redfish::RedfishFace;
use super::redfish::message::{Answer, Request};
use super::redfish::personality::Personality;
use baton_model::env::Mono;
use baton_model::port::bmc::PowerAction;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A lost TCP segment comes again after about this long (Linux: the minimum retransmission timeout).
pub const TCP_RETRANSMIT: Duration = Duration::from_millis(200);

/// What a new BMC is made from.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// The users.
    pub accounts: Arc<[Account]>,
    /// The IPMI key K_G.
    pub kg: Option<Arc<[u8]>>,
    /// Whose firmware it imitates.
    pub personality: &'static Personality,
    /// Session limits.
    pub limits: Limits,
    /// Delays of the machine.
    pub timing: Timing,
    /// Whether the machine starts powered on.
    pub on: bool,
    /// How many journal entries are kept.
    pub journal_room: u16,
    /// Seed of the farm.
    pub seed: u64,
}

/// What the driver of a BMC has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Reaction<T> {
    /// Send this after this long.
    Answer(T, Duration),
    /// Send the beginning of this after this long and break off.
    Cut(T, Duration),
    /// Say nothing, and keep a connection open.
    Silence,
    /// Say nothing and break the connection.
    Hangup,
}

/// The BMC.
pub struct Bmc {
    /// What both faces share.
    pub core: Core,
    ipmi: IpmiFace,
    redfish: RedfishFace,
}

impl Bmc {
    /// A BMC fresh from power-on.
    #[must_use]
    pub fn new(number: u32, blueprint: &Blueprint) -> Self {
        Self {
            core: Core {
                number,
                machine: Machine::new(blueprint.on, blueprint.timing, blueprint.journal_room),
                accounts: Arc::clone(&blueprint.accounts),
                kg: blueprint.kg.clone(),
                guard: Guard::default(),
                personality: blueprint.personality,
                faults: Faults::default(),
                limits: blueprint.limits.played_by(blueprint.personality),
                counters: Counters::default(),
                contacts: Contacts::default(),
                draw: Draw::new(blueprint.seed, u64::from(number)),
            },
            ipmi: IpmiFace::default(),
            redfish: RedfishFace::default(),
        }
    }

    // --- IPMI -----------------------------------------------------------------------------------

    /// Takes a datagram. On [`Reaction::Answer`] the bytes to send are in `out`, which the caller hands in empty;
    /// `clear` is scratch room.
    pub fn datagram(
        &mut self,
        now: Mono,
        remote: SocketAddr,
        datagram: &[u8],
        clear: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Reaction<()> {
        let core = &mut self.core;
        core.counters.datagrams += 1;
        let faulty = !core.faults.is_empty();
        if faulty && (core.faults.unreachable(now) || chance(core, FaultKind::Loss)) {
            core.counters.swallowed += 1;
            return Reaction::Silence;
        }
        let mut exchange = Exchange {
            now,
            remote,
            clear,
            out,
        };
        self.ipmi.receive(core, datagram, &mut exchange);
        if out.is_empty() {
            return Reaction::Silence;
        }
        let mut delay = Duration::ZERO;
        if faulty {
            if chance(core, FaultKind::Loss) {
                core.counters.swallowed += 1;
                return Reaction::Silence;
            }
            if chance(core, FaultKind::Garbage) {
                scramble(core, out);
            }
            if chance(core, FaultKind::ResetMidBody) {
                out.truncate(out.len() / 2);
            }
            delay = core.faults.delay(&mut core.draw);
        }
        core.counters.answers += 1;
        Reaction::Answer((), delay)
    }

    // --- Redfish --------------------------------------------------------------------------------

    /// Takes an HTTP request.
    pub fn request(&mut self, now: Mono, request: &Request<'_>) -> Reaction<Answer> {
        let core = &mut self.core;
        core.counters.requests += 1;
        if core.faults.is_empty() {
            return Reaction::Answer(self.redfish.answer(core, now, request), Duration::ZERO);
        }
        if core.faults.unreachable(now) {
            core.counters.swallowed += 1;
            return if core.faults.has(FaultKind::Silent) {
                Reaction::Silence
            } else {
                Reaction::Hangup
            };
        }
        let mut answer = self.redfish.answer(core, now, request);
        let mut delay = core.faults.delay(&mut core.draw);
        if chance(core, FaultKind::Loss) {
            delay += TCP_RETRANSMIT;
        }
        if chance(core, FaultKind::Garbage) {
            scramble(core, &mut answer.body);
        }
        if chance(core, FaultKind::ResetMidBody) {
            return Reaction::Cut(answer, delay);
        }
        Reaction::Answer(answer, delay)
    }

    // --- Control --------------------------------------------------------------------------------

    /// Injects a fault. A reboot ends all sessions at once.
    pub fn inject(&mut self, now: Mono, fault: Fault) {
        if fault.kind() == FaultKind::Reboot {
            self.ipmi.forget_sessions();
            self.redfish.sessions.clear();
        }
        self.core.faults.set(now, fault);
        if fault.kind() == FaultKind::Lockout {
            self.core.guard = Guard::default();
        }
    }

    /// Ends every session, as a firmware bug or an impatient operator does.
    pub fn end_sessions(&mut self) {
        self.ipmi.forget_sessions();
        self.redfish.sessions.clear();
    }

    /// Changes the power behind everybody's back.
    pub fn force_power(&mut self, now: Mono, on: bool) {
        self.core.machine.force(now, on, Origin::BEHIND_THE_BACK);
    }

    /// Sends the machine an ordinary command from the control endpoint.
    pub fn control(&mut self, now: Mono, action: PowerAction, origin: Origin) {
        self.core.machine.command(now, action, origin);
    }

    /// Replaces the users, as an operator who rotates passwords does. Open sessions stay.
    pub fn set_accounts(&mut self, accounts: Arc<[Account]>) {
        self.core.accounts = accounts;
        self.core.guard = Guard::default();
    }

    /// The IPMI face, to look at.
    #[must_use]
    pub const fn ipmi(&self) -> &IpmiFace {
        &self.ipmi
    }

    /// The Redfish face, to look at.
    #[must_use]
    pub const fn redfish(&self) -> &RedfishFace {
        &self.redfish
    }
}

fn chance(core: &mut Core, kind: FaultKind) -> bool {
    let fraction = core.faults.fraction(kind);
    core.draw.happens(fraction)
}

/// Turns an answer into noise of a length of its own.
fn scramble(core: &mut Core, bytes: &mut Vec<u8>) {
    let length = usize::try_from(core.draw.below(96)).unwrap_or(0) + 1;
    bytes.clear();
    while bytes.len() < length {
        bytes.extend_from_slice(&core.draw.bytes16());
    }
    bytes.truncate(length);
}
