//! One simulated machine: its power, the delays of its power supply and operating system, and its journal.
//!
//! Pure: time arrives as an argument, so the chaos harness drives it without sockets. Delayed changes are applied
//! lazily by [`Machine::settle`], which dates each edge with the moment it was due, not the moment somebody looked.

use super::journal::{Edge, Journal, Origin, Outcome, What};
use baton_model::env::Mono;
use baton_model::port::bmc::{PowerAction, PowerReading};
use std::collections::VecDeque;
use std::time::Duration;

/// What the operating system does with a soft-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoftOff {
    /// Shuts down and powers off after this long.
    After(Duration),
    /// Takes no notice; the BMC still says yes.
    Ignored,
    /// The BMC refuses the command.
    Refused,
}

/// How long power changes take. Zero everywhere means that each happens within the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From the command until the machine is on.
    pub on: Duration,
    /// From the command until the machine is off.
    pub off: Duration,
    /// How long a cycle stays off before it powers on.
    pub cycle: Duration,
    /// From the command until the reset happens.
    pub reset: Duration,
    /// What becomes of a soft-off.
    pub soft_off: SoftOff,
}

impl Timing {
    /// Everything happens at once.
    pub const INSTANT: Self = Self::each(Duration::ZERO);

    /// Everything takes so long.
    #[must_use]
    pub const fn each(delay: Duration) -> Self {
        Self {
            on: delay,
            off: delay,
            cycle: delay,
            reset: delay,
            soft_off: SoftOff::After(delay),
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::INSTANT
    }
}

#[derive(Clone, Debug)]
struct Step {
    due: Mono,
    edge: Edge,
    origin: Origin,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Machine {
    on: bool,
    /// How often it has begun to boot.
    starts: u32,
    steps: VecDeque<Step>, // at most two: a cycle is off, then on
    timing: Timing,
    journal: Journal,
}

impl Machine {
    /// A settled machine.
    #[must_use]
    pub const fn new(on: bool, timing: Timing, journal_room: u16) -> Self {
        Self {
            on,
            starts: 0,
            steps: VecDeque::new(),
            timing,
            journal: Journal::new(journal_room),
        }
    }

    /// Applies every change that is due by `now`.
    pub fn settle(&mut self, now: Mono) {
        while let Some(step) = self.steps.pop_front_if(|step| step.due <= now) {
            self.edge(step.due, step.edge, step.origin);
        }
    }

    /// The true power state, transitions included.
    pub fn power(&mut self, now: Mono) -> PowerReading {
        self.settle(now);
        match (self.on, self.steps.front().map(|step| step.edge)) {
            (true, Some(Edge::Off)) => PowerReading::PoweringOff,
            (false, Some(Edge::On)) => PowerReading::PoweringOn,
            (true, _) => PowerReading::On,
            (false, _) => PowerReading::Off,
        }
    }

    /// Whether power is applied right now; during a transition that is still the old state.
    pub fn is_on(&mut self, now: Mono) -> bool {
        self.settle(now);
        self.on
    }

    /// Takes a power command. The newest command replaces what an older one had still to do.
    pub fn command(&mut self, now: Mono, action: PowerAction, origin: Origin) -> Outcome {
        self.settle(now);
        let timing = self.timing;
        let outcome = match action {
            PowerAction::On => self.turn(now, Edge::On, timing.on, &origin),
            PowerAction::Off => self.turn(now, Edge::Off, timing.off, &origin),
            PowerAction::SoftOff => match timing.soft_off {
                SoftOff::After(delay) => self.turn(now, Edge::Off, delay, &origin),
                SoftOff::Ignored => Outcome::Ignored,
                SoftOff::Refused => Outcome::Refused,
            },
            PowerAction::Reset => self.disturb(now, Edge::Reset, timing.reset, &origin),
            PowerAction::SoftReset => match timing.soft_off {
                SoftOff::After(delay) => self.disturb(now, Edge::Reset, delay, &origin),
                SoftOff::Ignored => Outcome::Ignored,
                SoftOff::Refused => Outcome::Refused,
            },
            PowerAction::Nmi => self.disturb(now, Edge::Nmi, Duration::ZERO, &origin),
            // The BMC keeps these; the machine hears of them when it boots.
            PowerAction::BootFrom(_)
            | PowerAction::BootMode(_)
            | PowerAction::SecureBoot(_)
            | PowerAction::Chore(_) => Outcome::Ignored,
            PowerAction::Cycle => {
                let outcome = self.disturb(now, Edge::Off, timing.off, &origin);
                if outcome == Outcome::Started {
                    self.steps.push_back(Step {
                        due: now + timing.off + timing.cycle + timing.on,
                        edge: Edge::On,
                        origin: origin.clone(),
                    });
                }
                outcome
            }
        };
        self.journal
            .write(now, What::Command(action, outcome), origin);
        self.settle(now);
        outcome
    }

    /// Writes down a command that was answered without reaching the machine (a lying BMC).
    pub fn ignored(&mut self, now: Mono, action: PowerAction, origin: Origin) {
        self.settle(now);
        self.journal
            .write(now, What::Command(action, Outcome::Ignored), origin);
    }

    /// Changes the power at once, without any command: the button, a tripped fuse, a shutdown from inside.
    pub fn force(&mut self, now: Mono, on: bool, origin: Origin) {
        self.settle(now);
        self.steps.clear();
        if self.on != on {
            self.edge(now, if on { Edge::On } else { Edge::Off }, origin);
        }
    }

    /// The journal, settled to `now`.
    pub fn journal(&mut self, now: Mono) -> &Journal {
        self.settle(now);
        &self.journal
    }

    /// How often it has begun to boot, as of the last look at it.
    #[must_use]
    pub const fn starts(&self) -> u32 {
        self.starts
    }

    /// The delays.
    #[must_use]
    pub const fn timing(&self) -> Timing {
        self.timing
    }

    /// Changes the delays of later commands.
    pub const fn set_timing(&mut self, timing: Timing) {
        self.timing = timing;
    }

    fn turn(&mut self, now: Mono, edge: Edge, delay: Duration, origin: &Origin) -> Outcome {
        let wanted = edge == Edge::On;
        let heading = self.steps.back().map_or(self.on, |step| match step.edge {
            Edge::On => true,
            Edge::Off => false,
            Edge::Reset | Edge::Nmi => self.on,
        });
        if heading == wanted && (self.on == wanted || !self.steps.is_empty()) {
            let sooner = now + delay;
            if let Some(step) = self.steps.back_mut()
                && step.edge == edge
                && step.due > sooner
            {
                step.due = sooner; // a hard off overtakes the soft one that is still shutting down
                step.origin = origin.clone();
                return Outcome::Started;
            }
            return Outcome::AlreadyThere;
        }
        self.steps.clear();
        if self.on == wanted {
            return Outcome::Started; // the command takes back a change that had not happened yet
        }
        self.steps.push_back(Step {
            due: now + delay,
            edge,
            origin: origin.clone(),
        });
        Outcome::Started
    }

    fn disturb(&mut self, now: Mono, edge: Edge, delay: Duration, origin: &Origin) -> Outcome {
        if !self.on {
            return Outcome::NeedsPower;
        }
        self.steps.clear();
        self.steps.push_back(Step {
            due: now + delay,
            edge,
            origin: origin.clone(),
        });
        Outcome::Started
    }

    fn edge(&mut self, at: Mono, edge: Edge, origin: Origin) {
        match edge {
            Edge::On => {
                self.on = true;
                self.starts = self.starts.wrapping_add(1);
            }
            Edge::Off => self.on = false,
            Edge::Reset => self.starts = self.starts.wrapping_add(1),
            Edge::Nmi => {}
        }
        self.journal.write(at, What::Edge(edge), origin);
    }
}

#[cfg(test)]
mod tests;
