//! The nemesis: what goes wrong, when, and for how long.
//!
//! It draws an injection after each pause, and notes how to undo it. One injection may overlap another; what does not fit
//! (killing what is dead) is skipped and said so. [`Nemesis::heal`] undoes everything that is still undone.

mod inject;
mod words;

pub use inject::Injection;

use crate::rng::Rng;
use crate::timeline::Timeline;
use crate::trace::Trace;
use crate::world::World;
use crate::world::net::Host;
use std::collections::BTreeMap;
use std::fmt;

/// Between two injections, in milliseconds.
const PAUSE_MS: (u64, u64) = (300, 2500);

/// How an injection ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Undo {
    /// Start this host's conductor.
    Start(Host),
    /// Let this host's process go on.
    Resume(Host),
    /// Join these directions of the network.
    Join(Vec<(Host, Host)>),
    /// These directions are as fast as before.
    Faster(Vec<(Host, Host)>),
    /// This BMC answers again.
    Speak(Box<str>),
    /// This host reaches the BMCs again.
    ReachBmcs(Host),
    /// Operators want this host to serve again.
    Undrain(Host),
    /// This disk has room again.
    Room(Host),
    /// The compute service is back.
    ComputeUp,
    /// The compute service is fast again.
    ComputeFast,
}

/// What kinds of trouble it likes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Temper {
    /// All of them.
    #[default]
    Mixed,
    /// Conductors that go on working without knowing that the others have gone on without them.
    Isolating,
}

impl fmt::Display for Temper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mixed => "mixed",
            Self::Isolating => "isolating",
        })
    }
}

/// See the module.
pub struct Nemesis {
    chance: Rng,
    trace: Trace,
    awake: Option<Temper>,
    next_at: u64,
    undo: Timeline<Undo>,
    /// How often each kind of injection was made.
    pub made: BTreeMap<&'static str, u64>,
}

impl Nemesis {
    /// A nemesis that sleeps.
    #[must_use]
    pub fn new(chance: Rng, trace: Trace) -> Self {
        Self {
            chance,
            trace,
            awake: None,
            next_at: 0,
            undo: Timeline::default(),
            made: BTreeMap::new(),
        }
    }

    /// From now on things go wrong.
    pub fn wake(&mut self, now: u64, temper: Temper) {
        self.awake = Some(temper);
        self.next_at = now + self.chance.between(PAUSE_MS.0, PAUSE_MS.1);
    }

    /// Undoes what is due and makes what is due.
    pub(crate) fn step(world: &mut World) {
        let now = world.now();
        world.nemesis.undo.advance(now);
        while let Some(undo) = world.nemesis.undo.take_due() {
            Self::undo(world, &undo);
        }
        if let Some(temper) = world.nemesis.awake
            && now >= world.nemesis.next_at
        {
            let nemesis = &mut world.nemesis;
            nemesis.next_at = now + nemesis.chance.between(PAUSE_MS.0, PAUSE_MS.1);
            let mut chance = nemesis.chance.clone();
            let injection = Injection::draw(world, temper, &mut chance);
            world.nemesis.chance = chance;
            Self::make(world, &injection);
        }
    }

    /// Makes an injection now.
    pub fn make(world: &mut World, injection: &Injection) {
        match injection.apply(world) {
            Ok(undo) => {
                world
                    .nemesis
                    .trace
                    .note(format_args!("NEMESIS: {injection}"));
                *world.nemesis.made.entry(injection.name()).or_default() += 1;
                for (after_ms, undo) in undo {
                    world.nemesis.undo.send(after_ms, undo);
                }
            }
            Err(why) => {
                world
                    .nemesis
                    .trace
                    .note(format_args!("nemesis skips {injection}: {why}"));
                *world.nemesis.made.entry("skipped").or_default() += 1;
            }
        }
    }

    /// Falls asleep and undoes everything.
    pub fn heal(world: &mut World) {
        world.nemesis.awake = None;
        world.nemesis.trace.note("NEMESIS sleeps; all is undone");
        for undo in world.nemesis.undo.take_all() {
            Self::undo(world, &undo);
        }
    }

    fn undo(world: &mut World, undo: &Undo) {
        let note = |what: String| world.trace().note(format_args!("healed: {what}"));
        match undo {
            Undo::Start(host) => world.start(*host),
            Undo::Resume(host) => {
                if world.is_paused(*host) {
                    note(format!("conductor {host} goes on"));
                    world.resume(*host);
                }
            }
            Undo::Join(links) => {
                note(format!("joined {links:?}"));
                for (from, to) in links {
                    world.net().set_cut(*from, *to, false);
                }
            }
            Undo::Faster(links) => {
                note(format!("usual speed on {links:?}"));
                for (from, to) in links {
                    world.net().set_slower(*from, *to, 0);
                }
            }
            Undo::Speak(address) => {
                note(format!("BMC {address} answers"));
                world.farm().set_silent(address, false);
            }
            Undo::Undrain(host) => {
                note(format!("conductor {host} is to serve again"));
                world.to_be_drained.remove(host);
            }
            Undo::Room(host) => {
                note(format!("the disk of conductor {host} has room"));
                if let Some(disk) = world.disk(*host) {
                    disk.set_full(false);
                }
            }
            Undo::ComputeUp => {
                note("compute is back".to_owned());
                world.nova().set_down(false);
            }
            Undo::ComputeFast => {
                note("compute is fast".to_owned());
                world.nova().set_slow(false);
            }
            Undo::ReachBmcs(host) => {
                note(format!("conductor {host} reaches the BMCs"));
                world.farm().set_cut(*host, false);
            }
        }
    }
}
