//! The conversation with one BMC, without sockets or clocks: datagrams, timers and jobs go in; datagrams, the next
//! deadline and results come out.
//!
//! It opens a session when it needs one, keeps it warm for a bounded time, says everything again until the job's
//! deadline, and opens a new session when the BMC has forgotten the old one. The one invariant: a command that must
//! not run twice ([`Job::at_most_once`]) leaves in one session only, under one sequence number only.

mod handshake;
mod job;
mod link;
pub(crate) mod refusal;
#[cfg(test)]
mod tests;
mod timing;

pub use job::{Job, Reply, SessionIds};

use super::wire::WireError;
use super::wire::boot::decode_flags;
use super::wire::code::CompletionCode;
use super::wire::command::{ChassisStatus, Command, DeviceId, decode_privilege};
use super::wire::crypto::CipherSuite;
use super::wire::packet::{Packet, Packet20};
use baton_model::driver::ipmi::IpmiTarget;
use baton_model::env::Mono;
use baton_model::port::bmc::{BmcError, PowerReading};
use handshake::{Advance, Handshake};
use link::Link;
use rand::rngs::StdRng;
use refusal::Refusal;
use std::sync::Arc;
use std::time::Duration;
use timing::Timing;

/// A session that was silent for so long is not used again. BMCs end idle sessions after 60 s, give or take 3
/// (§6.12.15); the rest is for the datagrams' way and slow clocks.
pub const IDLE_MAX: Duration = Duration::from_secs(50);
/// A session is replaced after so long even if it is in use, so that changed rights and keys take effect.
pub const LIFE_MAX: Duration = Duration::from_secs(3600);
/// Silence after which a session must prove itself before it carries a command that must not run twice.
const PROOF_AFTER: Duration = Duration::from_secs(5);
/// Unanswered sends after which a session from an earlier job counts as forgotten.
const SENDS_WARM: u32 = 2;
/// The same for a session that answered within [`PROOF_AFTER`] or was opened by this job: loss is likelier there.
const SENDS_FRESH: u32 = 3;
/// Unanswered sends of one key exchange message after which the handshake starts over.
const SENDS_EXCHANGE: u32 = 3;
/// Handshakes per job that may end in "I do not know you" before the job fails with it.
const HANDSHAKES_MAX: u32 = 4;

/// Buffers and chance that a step works with. `out` holds the one datagram to send, if it is not empty.
pub struct Io<'a> {
    /// The datagram to send.
    pub out: &'a mut Vec<u8>,
    /// Room for decrypted payloads.
    pub clear: &'a mut Vec<u8>,
    /// Session ids, randoms and initialisation vectors come from here; it must be unpredictable.
    pub rng: &'a mut StdRng,
}

/// Why a datagram was not taken. Each is counted, none ends a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ignored {
    /// Not a packet at all, or cut short.
    Garbage,
    /// Well-formed, but not the answer to anything asked: other ids, tags, types.
    Unexpected,
    /// Its sequence number was seen before or is too old.
    Replayed,
    /// Its integrity code does not fit.
    Forged,
}

impl From<WireError> for Ignored {
    fn from(_: WireError) -> Self {
        Self::Garbage
    }
}

/// Where a job stands after a step.
#[derive(Debug)]
pub enum Progress {
    /// Call [`Conversation::timer`] at this time unless a datagram comes before.
    Waiting(Mono),
    /// The job is over.
    Done(Result<Reply, BmcError>),
}

enum Phase {
    Closed,
    Opening(Box<Handshake>),
    Open(Box<Link>),
}

/// What is being waited for in an open session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Set Session Privilege Level: for the level, or as a proof of life.
    Privilege,
    /// The job's own command.
    Command,
}

struct Running {
    job: Job,
    started: Mono,
    deadline: Mono,
    step: Step,
    /// The session of this job was opened by it.
    opened_here: bool,
    /// The level was raised because the BMC asked for it, so it is not raised again.
    raised: bool,
    /// A command that must not run twice, as it was sent.
    frozen: Option<Box<[u8]>>,
    /// Datagrams sent for the job in all.
    sends: u32,
    /// Datagrams sent for the current message.
    sends_here: u32,
    handshakes: u32,
    sent_at: Mono,
    repeat_at: Mono,
}

/// One BMC's conversation. At most one job runs at a time.
pub struct Conversation {
    target: Arc<IpmiTarget>,
    phase: Phase,
    running: Option<Running>,
    learned: Option<CipherSuite>,
    timing: Timing,
    last_tag: u8,
}

impl Conversation {
    /// A conversation that has not begun.
    #[must_use]
    pub fn new(target: Arc<IpmiTarget>) -> Self {
        Self {
            target,
            phase: Phase::Closed,
            running: None,
            learned: None,
            timing: Timing::default(),
            last_tag: 0,
        }
    }

    /// Whom it is with.
    #[must_use]
    pub const fn target(&self) -> &Arc<IpmiTarget> {
        &self.target
    }

    /// Other credentials or levels for the same BMC. What was learned about the BMC stays; an open session does not,
    /// so say [`Self::farewell`] first.
    pub fn retarget(&mut self, target: Arc<IpmiTarget>) {
        self.target = target;
        self.phase = Phase::Closed;
    }

    /// The open session's ids.
    #[must_use]
    pub fn session_ids(&self) -> Option<SessionIds> {
        match &self.phase {
            Phase::Open(link) => Some(link.ids()),
            Phase::Closed | Phase::Opening(_) => None,
        }
    }

    /// The suite that worked last.
    #[must_use]
    pub const fn cipher_suite(&self) -> Option<CipherSuite> {
        self.learned
    }

    /// The BMC's smoothed answer time.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.timing.smoothed()
    }

    /// Whether a job runs.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Whether an open session is too old to be used again.
    #[must_use]
    pub fn is_stale(&self, now: Mono) -> bool {
        match &self.phase {
            Phase::Open(link) => {
                now.since(link.heard_at) >= IDLE_MAX || now.since(link.opened_at) >= LIFE_MAX
            }
            Phase::Closed | Phase::Opening(_) => false,
        }
    }

    /// Ends an open session without waiting for the answer: puts Close Session into `io.out` and forgets the session.
    pub fn farewell(&mut self, io: &mut Io<'_>) {
        if let Phase::Open(link) = &mut self.phase {
            let own = link.ids().bmc;
            link.next_request();
            link.send(&Command::CloseSession(own), io);
        }
        self.phase = Phase::Closed;
    }

    /// Starts a job. The caller sees to it that none runs and that an open session is not stale.
    pub fn start(&mut self, job: Job, now: Mono, deadline: Mono, io: &mut Io<'_>) -> Progress {
        self.running = Some(Running {
            job,
            started: now,
            deadline,
            step: Step::Command,
            opened_here: false,
            raised: false,
            frozen: None,
            sends: 0,
            sends_here: 0,
            handshakes: 0,
            sent_at: now,
            repeat_at: now,
        });
        let own = self.session_ids().map(|ids| ids.bmc);
        if job.bound_to().is_some_and(|id| own != Some(id)) {
            let error = Refusal::new(&self.target, job).session_over();
            return self.finish(Err(error));
        }
        match self.phase {
            Phase::Open(_) => self.proceed(now, io),
            Phase::Closed | Phase::Opening(_) if job == Job::Close => {
                self.finish(Ok(Reply::Done(false)))
            }
            Phase::Closed | Phase::Opening(_) => self.handshake(now, io),
        }
    }

    /// Gives up the running job; its caller has gone.
    pub fn abandon(&mut self) {
        self.running = None;
        if matches!(self.phase, Phase::Opening(_)) {
            self.phase = Phase::Closed;
        }
    }

    /// Takes a datagram from the BMC's address.
    ///
    /// # Errors
    /// Why it was not taken; nothing has changed then.
    pub fn datagram(
        &mut self,
        now: Mono,
        packet: &Packet<'_>,
        io: &mut Io<'_>,
    ) -> Result<Progress, Ignored> {
        let Packet::V20(packet) = packet else {
            return Err(Ignored::Unexpected);
        };
        let Some(running) = &self.running else {
            return Err(Ignored::Unexpected);
        };
        match &mut self.phase {
            Phase::Closed => Err(Ignored::Unexpected),
            Phase::Opening(handshake) => {
                let refusal = Refusal::new(&self.target, running.job);
                let advance = handshake.answer(&self.target, packet, refusal, io)?;
                self.observe(now);
                Ok(self.advance(advance, now, io))
            }
            Phase::Open(_) => self.response(now, packet, io),
        }
    }

    /// The time of the last [`Progress::Waiting`] has come.
    pub fn timer(&mut self, now: Mono, io: &mut Io<'_>) -> Progress {
        let Some(running) = &self.running else {
            return Progress::Waiting(Mono(u64::MAX));
        };
        if now >= running.deadline {
            let within = running.deadline.since(running.started);
            let error = Refusal::new(&self.target, running.job).silent(within, running.sends);
            // Whoever is silent for a whole budget has likely forgotten the session too.
            self.phase = Phase::Closed;
            return self.finish(Err(error));
        }
        if now < running.repeat_at {
            return self.waiting();
        }
        match &self.phase {
            Phase::Closed => self.handshake(now, io),
            Phase::Opening(handshake) => {
                if handshake.is_answered() && running.sends_here >= SENDS_EXCHANGE {
                    return self.handshake(now, io);
                }
                self.send_handshake(now, io)
            }
            Phase::Open(link) => {
                let fresh = running.opened_here || now.since(link.heard_at) < PROOF_AFTER;
                let limit = if fresh { SENDS_FRESH } else { SENDS_WARM };
                let movable = running.frozen.is_none() && running.job.bound_to().is_none();
                if movable && running.sends_here >= limit {
                    self.phase = Phase::Closed;
                    return self.handshake(now, io);
                }
                self.send_step(now, io)
            }
        }
    }

    /// The kernel would not take the last datagram now: say it again at `at`.
    pub fn postpone(&mut self, at: Mono) -> Progress {
        if let Some(running) = &mut self.running {
            running.repeat_at = at;
            running.sends_here = running.sends_here.saturating_sub(1);
            running.sends = running.sends.saturating_sub(1);
        }
        self.waiting()
    }

    /// The datagram cannot leave at all: end the job with the system's words.
    pub fn fail_to_send(&mut self, reason: &std::io::Error) -> Progress {
        let Some(running) = &self.running else {
            return Progress::Waiting(Mono(u64::MAX));
        };
        let error = Refusal::new(&self.target, running.job).unreachable(reason);
        self.phase = Phase::Closed;
        self.finish(Err(error))
    }

    fn finish(&mut self, result: Result<Reply, BmcError>) -> Progress {
        self.running = None;
        Progress::Done(result)
    }

    fn waiting(&self) -> Progress {
        Progress::Waiting(match &self.running {
            Some(running) => running.repeat_at.min(running.deadline),
            None => Mono(u64::MAX),
        })
    }

    /// An answer came: learn its round trip if it is known which send it answers.
    fn observe(&mut self, now: Mono) {
        if let Some(running) = &mut self.running {
            if running.sends_here == 1 {
                self.timing.observe(now.since(running.sent_at));
            }
            running.sends_here = 0;
        }
    }

    /// Counts a send and sets the time of the next.
    fn sent(&mut self, now: Mono) -> Progress {
        if let Some(running) = &mut self.running {
            running.sends = running.sends.saturating_add(1);
            running.sends_here = running.sends_here.saturating_add(1);
            running.sent_at = now;
            running.repeat_at = now + self.timing.wait(running.sends_here);
        }
        self.waiting()
    }

    // --- Opening ----------------------------------------------------------------------------------------

    /// Starts a handshake, whatever was before.
    fn handshake(&mut self, now: Mono, io: &mut Io<'_>) -> Progress {
        if let Some(running) = &mut self.running {
            running.sends_here = 0;
            running.handshakes = running.handshakes.saturating_add(1);
        }
        let handshake = Handshake::new(&self.target, self.learned, self.last_tag, io);
        self.last_tag = handshake.tag();
        self.phase = Phase::Opening(Box::new(handshake));
        self.send_handshake(now, io)
    }

    fn send_handshake(&mut self, now: Mono, io: &mut Io<'_>) -> Progress {
        if let (Phase::Opening(handshake), Some(running)) = (&mut self.phase, &self.running) {
            handshake.send(&self.target, running.sends_here, io);
        }
        self.sent(now)
    }

    fn advance(&mut self, advance: Advance, now: Mono, io: &mut Io<'_>) -> Progress {
        match advance {
            Advance::Sent => self.sent(now),
            Advance::Open(opened) => {
                if let Phase::Opening(handshake) = &self.phase {
                    self.learned = Some(handshake.suite());
                }
                self.phase = Phase::Open(Box::new(Link::new(*opened, self.target.privilege, now)));
                if let Some(running) = &mut self.running {
                    running.opened_here = true;
                }
                self.proceed(now, io)
            }
            Advance::StartOver(error) => {
                let spent = self
                    .running
                    .as_ref()
                    .is_none_or(|running| running.handshakes >= HANDSHAKES_MAX);
                if spent {
                    self.phase = Phase::Closed;
                    self.finish(Err(error))
                } else {
                    self.handshake(now, io)
                }
            }
            Advance::Failed(error) => {
                self.phase = Phase::Closed;
                self.finish(Err(error))
            }
        }
    }

    // --- In the session ---------------------------------------------------------------------------------

    /// Decides what the job needs next from the open session, and sends it.
    fn proceed(&mut self, now: Mono, io: &mut Io<'_>) -> Progress {
        let (Phase::Open(link), Some(running)) = (&mut self.phase, &mut self.running) else {
            return self.waiting();
        };
        if running.job == Job::Open {
            let fresh = running.opened_here || now.since(link.heard_at) < PROOF_AFTER;
            if fresh {
                let ids = link.ids();
                return self.finish(Ok(Reply::Session(ids)));
            }
        }
        let lacks_level =
            link.privilege < running.job.privilege() && link.privilege < self.target.privilege;
        let must_prove = (running.job.at_most_once() || running.job == Job::Open)
            && !running.opened_here
            && now.since(link.heard_at) >= PROOF_AFTER;
        running.step = if lacks_level || must_prove {
            Step::Privilege
        } else {
            Step::Command
        };
        running.sends_here = 0;
        link.next_request();
        self.send_step(now, io)
    }

    /// The command that the current step waits for.
    fn step_command(target: &IpmiTarget, link: &Link, running: &Running) -> Command {
        match running.step {
            Step::Privilege => Command::SetPrivilege(target.privilege),
            Step::Command => running
                .job
                .command(link.ids().bmc)
                .unwrap_or(Command::GetPrivilege),
        }
    }

    fn send_step(&mut self, now: Mono, io: &mut Io<'_>) -> Progress {
        if let (Phase::Open(link), Some(running)) = (&mut self.phase, &mut self.running) {
            if let Some(frozen) = &running.frozen {
                io.out.extend_from_slice(frozen);
            } else {
                let command = Self::step_command(&self.target, link, running);
                link.send(&command, io);
                if running.step == Step::Command && running.job.at_most_once() {
                    running.frozen = Some(io.out.as_slice().into());
                }
            }
        }
        self.sent(now)
    }

    fn response(
        &mut self,
        now: Mono,
        packet: &Packet20<'_>,
        io: &mut Io<'_>,
    ) -> Result<Progress, Ignored> {
        let (Phase::Open(link), Some(running)) = (&mut self.phase, &mut self.running) else {
            return Err(Ignored::Unexpected);
        };
        let command = Self::step_command(&self.target, link, running);
        let response = link.receive(packet, &command, io.clear)?;
        link.heard_at = now;
        let (step, job, code) = (running.step, running.job, response.code);
        let refusal = Refusal::new(&self.target, job);
        if step == Step::Privilege {
            let level = decode_privilege(response.data);
            if code != CompletionCode::OK {
                let error = refusal.privilege(code);
                return Ok(self.finish(Err(error)));
            }
            link.privilege = level.unwrap_or(self.target.privilege);
            // What the BMC granted is what there is; asking again would loop.
            link.privilege = link.privilege.max(self.target.privilege);
            self.observe(now);
            return Ok(self.proceed(now, io));
        }
        if code == CompletionCode::INSUFFICIENT_PRIVILEGE
            && !running.raised
            && link.privilege < self.target.privilege
        {
            running.raised = true;
            running.frozen = None;
            running.step = Step::Privilege;
            link.next_request();
            self.observe(now);
            return Ok(self.send_step(now, io));
        }
        let result = conclude(job, code, response.data, refusal);
        self.observe(now);
        if job == Job::Close {
            self.phase = Phase::Closed;
        }
        Ok(self.finish(result))
    }
}

/// What the answer to a job's own command means.
fn conclude(
    job: Job,
    code: CompletionCode,
    data: &[u8],
    refusal: Refusal<'_>,
) -> Result<Reply, BmcError> {
    match (job, code) {
        // Gone is gone (§22.19: 87h).
        (Job::Close, _) => Ok(Reply::Done(true)),
        (Job::CloseById(_), CompletionCode::INVALID_SESSION_ID) => Ok(Reply::Done(false)),
        (Job::PowerState, CompletionCode::OK) => ChassisStatus::decode(data)
            .map(|status| {
                Reply::Power(if status.power_on {
                    PowerReading::On
                } else {
                    PowerReading::Off
                })
            })
            .map_err(|error| refusal.garbled(error)),
        (Job::Identify, CompletionCode::OK) => DeviceId::decode(data)
            .map(Reply::Device)
            .map_err(|error| refusal.garbled(error)),
        (Job::GetBoot, CompletionCode::OK) => decode_flags(data)
            .map(Reply::Boot)
            .map_err(|error| refusal.garbled(error)),
        // §28.12, §28.13: 80h, parameter not supported.
        (Job::GetBoot | Job::SetBoot(..), CompletionCode(0x80)) => {
            Err(refusal.unsupported("it has no such boot option"))
        }
        (
            Job::Control(_)
            | Job::ControlIn(..)
            | Job::SetBoot(..)
            | Job::Raw(..)
            | Job::CloseById(_)
            | Job::Open,
            CompletionCode::OK,
        ) => Ok(Reply::Done(true)),
        (
            Job::PowerState
            | Job::Identify
            | Job::GetBoot
            | Job::SetBoot(..)
            | Job::Raw(..)
            | Job::Control(_)
            | Job::ControlIn(..)
            | Job::CloseById(_)
            | Job::Open,
            _,
        ) => Err(refusal.code(code)),
    }
}
