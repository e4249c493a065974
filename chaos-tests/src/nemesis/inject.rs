//! The kinds of trouble, how often each is drawn, and how it is made and ended.

use super::{Temper, Undo};
use crate::rng::Rng;
use crate::world::World;
use crate::world::net::Host;

/// How long a dead conductor stays away, in milliseconds. From a service manager's restart to a reboot.
const AWAY_MS: (u64, u64) = (200, 5000);

/// How long a process is stopped: from a blink to well beyond a session.
const PAUSE_MS: (u64, u64) = (50, 5000);

/// How long the network is cut.
const CUT_MS: (u64, u64) = (100, 6000);

/// How long a BMC is silent, or out of reach.
const SILENT_MS: (u64, u64) = (500, 8000);

/// How long a conductor is drained: through restarts of it.
const DRAIN_MS: (u64, u64) = (300, 9000);

/// One trouble.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Injection {
    /// `kill -9`, and a start after a while.
    Kill {
        /// Whom.
        host: Host,
        /// For how long.
        away_ms: u64,
    },
    /// Hosts lose their power, and with it what they had not synced but for some oldest writes.
    PowerCut {
        /// Who, for how long, and how many of the unsynced writes survive (in percent).
        hosts: Vec<(Host, u64, u64)>,
    },
    /// `SIGSTOP` and `SIGCONT`.
    Pause {
        /// Whom.
        host: Host,
        /// For how long.
        for_ms: u64,
    },
    /// Some directions of the network carry nothing.
    Cut {
        /// Which.
        links: Vec<(Host, Host)>,
        /// For how long.
        for_ms: u64,
    },
    /// One host's network is slow.
    Slow {
        /// Which directions.
        links: Vec<(Host, Host)>,
        /// By how much.
        by_ms: u64,
        /// For how long.
        for_ms: u64,
    },
    /// Somebody presses a machine's button.
    Press {
        /// The machine's BMC.
        address: Box<str>,
    },
    /// A BMC answers nothing.
    Silence {
        /// Which.
        address: Box<str>,
        /// For how long.
        for_ms: u64,
    },
    /// An operator drains a conductor for a while.
    Drain {
        /// Which.
        host: Host,
        /// For how long.
        for_ms: u64,
    },
    /// A disk has no room.
    DiskFull {
        /// Whose.
        host: Host,
        /// For how long.
        for_ms: u64,
    },
    /// The next sync of a disk fails.
    FailSync {
        /// Whose.
        host: Host,
    },
    /// A conductor dies and its disk is lost; it comes back with an empty one.
    LoseDisk {
        /// Which.
        host: Host,
        /// For how long it is away.
        away_ms: u64,
    },
    /// The compute service hears nobody.
    ComputeDown {
        /// For how long.
        for_ms: u64,
    },
    /// The compute service takes seconds.
    ComputeSlow {
        /// For how long.
        for_ms: u64,
    },
    /// An operator moves the leadership.
    HandOver {
        /// To whom.
        to: Host,
    },
    /// An operator removes a conductor by force, though it lives. It comes back as a new member.
    Remove {
        /// Which.
        host: Host,
    },
    /// A conductor reaches no BMC.
    NoBmcs {
        /// Which.
        host: Host,
        /// For how long.
        for_ms: u64,
    },
}

impl Injection {
    /// Draws one that might fit.
    pub fn draw(world: &World, temper: Temper, chance: &mut Rng) -> Self {
        let hosts = world.hosts();
        let any = |chance: &mut Rng| chance.pick(&hosts).copied().unwrap_or(1);
        // Half of all trouble hits whoever leads.
        let victim = |chance: &mut Rng| {
            let leader = world.leader().filter(|_| chance.chance(50));
            leader.unwrap_or_else(|| any(chance))
        };
        let span = |chance: &mut Rng, (low, high): (u64, u64)| {
            // Short ones are as likely as long ones, whatever the scale.
            let scale = chance.between(low, high);
            chance.between(low, scale)
        };
        let addresses = world.farm().addresses();
        let machine = |chance: &mut Rng| chance.pick(&addresses).cloned().unwrap_or_default();
        let kind = match temper {
            Temper::Mixed => chance.below(151),
            // Pauses and cuts, and machines to work on.
            Temper::Isolating => *chance.pick(&[26, 44, 44, 68, 136]).unwrap_or(&44),
        };
        match kind {
            0..14 => Self::Kill {
                host: victim(chance),
                away_ms: span(chance, AWAY_MS),
            },
            14..22 => Self::PowerCut {
                hosts: vec![(victim(chance), span(chance, AWAY_MS), chance.below(101))],
            },
            22..26 => Self::PowerCut {
                hosts: hosts
                    .iter()
                    .map(|host| (*host, span(chance, AWAY_MS), chance.below(101)))
                    .collect(),
            },
            26..44 => Self::Pause {
                host: victim(chance),
                for_ms: span(chance, PAUSE_MS),
            },
            44..62 => Self::Cut {
                links: cut(&hosts, victim(chance), chance),
                for_ms: span(chance, CUT_MS),
            },
            62..68 => {
                let host = victim(chance);
                Self::Slow {
                    links: both_ways(&hosts, host),
                    by_ms: chance.between(5, 150),
                    for_ms: span(chance, CUT_MS),
                }
            }
            68..84 => Self::Press {
                address: machine(chance),
            },
            84..94 => Self::Silence {
                address: machine(chance),
                for_ms: span(chance, SILENT_MS),
            },
            94..100 => Self::NoBmcs {
                host: any(chance),
                for_ms: span(chance, SILENT_MS),
            },
            100..109 => Self::Drain {
                host: victim(chance),
                for_ms: span(chance, DRAIN_MS),
            },
            109..114 => Self::DiskFull {
                host: victim(chance),
                for_ms: span(chance, AWAY_MS),
            },
            114..118 => Self::FailSync {
                host: victim(chance),
            },
            118..124 => Self::ComputeDown {
                for_ms: span(chance, SILENT_MS),
            },
            124..130 => Self::ComputeSlow {
                for_ms: span(chance, SILENT_MS),
            },
            130..136 => Self::LoseDisk {
                host: victim(chance),
                away_ms: span(chance, AWAY_MS),
            },
            136..148 => Self::HandOver { to: any(chance) },
            _ => Self::Remove {
                host: victim(chance),
            },
        }
    }

    /// Makes it; how and after how long it ends.
    pub(super) fn apply(&self, world: &mut World) -> Result<Vec<(u64, Undo)>, &'static str> {
        match self {
            Self::Kill { host, away_ms } => {
                if !world.processes().contains_key(host) {
                    return Err("it does not run");
                }
                world.kill(*host);
                Ok(vec![(*away_ms, Undo::Start(*host))])
            }
            Self::PowerCut { hosts } => {
                let mut undo = Vec::new();
                for (host, away_ms, kept) in hosts {
                    let unsynced = u64::try_from(world.unsynced(*host)).unwrap_or(0);
                    let kept = usize::try_from(unsynced * kept / 100).unwrap_or(0);
                    world.cut_power(*host, kept);
                    undo.push((*away_ms, Undo::Start(*host)));
                }
                Ok(undo)
            }
            Self::Pause { host, for_ms } => {
                if !world.processes().contains_key(host) || world.is_paused(*host) {
                    return Err("it does not run");
                }
                world.pause(*host);
                Ok(vec![(*for_ms, Undo::Resume(*host))])
            }
            Self::Cut { links, for_ms } => {
                for (from, to) in links {
                    world.net().set_cut(*from, *to, true);
                }
                Ok(vec![(*for_ms, Undo::Join(links.clone()))])
            }
            Self::Slow {
                links,
                by_ms,
                for_ms,
            } => {
                for (from, to) in links {
                    world.net().set_slower(*from, *to, *by_ms);
                }
                Ok(vec![(*for_ms, Undo::Faster(links.clone()))])
            }
            Self::Press { address } => {
                world.farm().press(address);
                Ok(Vec::new())
            }
            Self::Silence { address, for_ms } => {
                world.farm().set_silent(address, true);
                Ok(vec![(*for_ms, Undo::Speak(address.clone()))])
            }
            Self::Drain { host, for_ms } => {
                if world.to_be_drained.len() + 1 >= world.hosts().len() {
                    return Err("somebody has to serve");
                }
                if !world.to_be_drained.insert(*host) {
                    return Err("it is drained already");
                }
                Ok(vec![(*for_ms, Undo::Undrain(*host))])
            }
            Self::DiskFull { host, for_ms } => {
                let disk = world.disk(*host).ok_or("it has no disk")?;
                disk.set_full(true);
                Ok(vec![(*for_ms, Undo::Room(*host))])
            }
            Self::FailSync { host } => {
                let disk = world.disk(*host).ok_or("it has no disk")?;
                disk.fail_next_sync();
                Ok(Vec::new())
            }
            Self::LoseDisk { host, away_ms } => {
                if world.hosts().len() < 3 || !world.is_whole() {
                    return Err("a majority has to remember");
                }
                world.kill(*host);
                world.lose_disk(*host);
                Ok(vec![(*away_ms, Undo::Start(*host))])
            }
            Self::HandOver { to } => {
                world.move_leader(*to)?;
                Ok(Vec::new())
            }
            Self::Remove { host } => {
                if world.hosts().len() < 3 || !world.is_whole() {
                    return Err("a majority has to remember");
                }
                world.remove_member(*host)?;
                Ok(Vec::new())
            }
            Self::ComputeDown { for_ms } => {
                world.nova().set_down(true);
                Ok(vec![(*for_ms, Undo::ComputeUp)])
            }
            Self::ComputeSlow { for_ms } => {
                world.nova().set_slow(true);
                Ok(vec![(*for_ms, Undo::ComputeFast)])
            }
            Self::NoBmcs { host, for_ms } => {
                world.farm().set_cut(*host, true);
                Ok(vec![(*for_ms, Undo::ReachBmcs(*host))])
            }
        }
    }
}

fn both_ways(hosts: &[Host], host: Host) -> Vec<(Host, Host)> {
    let others = hosts.iter().copied().filter(|other| *other != host);
    others
        .flat_map(|other| [(host, other), (other, host)])
        .collect()
}

/// One host alone, one direction deaf, or one pair that no longer meets (a bridge over the third).
fn cut(hosts: &[Host], host: Host, chance: &mut Rng) -> Vec<(Host, Host)> {
    let all = both_ways(hosts, host);
    match chance.below(10) {
        0..5 => all,
        5..7 => all.into_iter().filter(|(from, _)| *from == host).collect(),
        7..8 => all.into_iter().filter(|(_, to)| *to == host).collect(),
        _ => {
            let others: Vec<Host> = hosts
                .iter()
                .copied()
                .filter(|other| *other != host)
                .collect();
            let other = chance.pick(&others).copied().unwrap_or(host);
            vec![(host, other), (other, host)]
        }
    }
}
