//! A run from its seed to its verdict: a cluster is founded, machines are enrolled, trouble comes, trouble ends,
//! everything heals, and the invariants are checked.

use crate::invariants::{self, Violation, unhealed};
use crate::nemesis::{Nemesis, Temper};
use crate::plant::Plant;
use crate::workload::{Ask, Call, Told};
use crate::world::World;
use baton_model::node::provision::ProvisionState;
use std::collections::BTreeMap;

/// How long the first election and the first sessions may take.
const FOUNDING_LIMIT_MS: u64 = 20_000;

/// How long the enrolment of all machines may take.
const ENROLMENT_LIMIT_MS: u64 = 30_000;

/// How long everything may take to heal: sessions, takeovers, a power fault's recovery and a power change after it.
const HEALING_LIMIT_MS: u64 = 90_000;

/// For how long it must then stay healed: two rounds of power sync.
const STEADY_MS: u64 = 7_000;

/// What a run is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// Conductors.
    pub conductors: u64,
    /// Machines.
    pub machines: u64,
    /// How long trouble lasts, in simulated milliseconds; zero for a run without any.
    pub trouble_ms: u64,
    /// What kinds of trouble.
    pub temper: Temper,
    /// A bug to plant.
    pub plant: Plant,
}

impl Plan {
    /// Three conductors, six machines and twenty seconds of trouble.
    #[must_use]
    pub const fn of(seed: u64) -> Self {
        Self {
            seed,
            conductors: 3,
            machines: 6,
            trouble_ms: 20_000,
            temper: Temper::Mixed,
            plant: Plant::None,
        }
    }
}

/// What came of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The plan.
    pub plan: Plan,
    /// What was broken; empty for a good run.
    pub violations: Vec<Violation>,
    /// The whole trace.
    pub trace: Vec<String>,
    /// The trace's hash.
    pub digest: u64,
    /// Simulated milliseconds.
    pub lasted_ms: u64,
    /// Entries committed.
    pub entries: u64,
    /// Commands that reached machines.
    pub commands: usize,
    /// How often the clients were told what.
    pub answers: BTreeMap<&'static str, u64>,
    /// How often each kind of trouble was made.
    pub injections: BTreeMap<&'static str, u64>,
}

/// Runs a plan.
#[must_use]
pub fn run(plan: Plan) -> Report {
    let mut world = World::new(plan.seed, plan.conductors, plan.machines, plan.plant);
    let mut violations = Vec::new();
    if let Err(what) = prologue(&mut world) {
        violations.push(Violation {
            invariant: "healed",
            what,
        });
    } else {
        trouble(&mut world, plan);
        violations.extend(invariants::check(&world));
    }
    for violation in &violations {
        world.trace().note(format_args!("VIOLATION of {violation}"));
    }
    report(&world, plan, violations)
}

/// Founds the cluster and enrolls every machine, without any trouble.
fn prologue(world: &mut World) -> Result<(), String> {
    for host in world.hosts() {
        world.start(host);
    }
    let founded = world.wait(FOUNDING_LIMIT_MS, 50, |world| {
        let conductors = world.conductors();
        let live = conductors.values().filter(|conductor| {
            let session = conductor.lease.session();
            conductor.state.read().is_live(session)
        });
        live.count() == world.hosts().len()
    });
    if !founded {
        return Err(format!(
            "the cluster was not founded within {FOUNDING_LIMIT_MS} ms"
        ));
    }
    let enrolled = world.wait(ENROLMENT_LIMIT_MS, 250, |world| {
        let nodes = world.workload.nodes().to_vec();
        let mut done = true;
        for (node, _) in nodes {
            let record = world.oracle().newest(node);
            let ask = match record.as_deref() {
                None => Ask::Create,
                Some(record) if record.provision_state == ProvisionState::Enroll => Ask::Manage,
                Some(record) if record.intent.is_none() && record.power_state.is_some() => continue,
                Some(_) => {
                    done = false;
                    continue;
                }
            };
            done = false;
            let now = world.now();
            world.ask(now, node, ask);
        }
        done
    });
    if !enrolled {
        return Err(format!(
            "the machines were not enrolled within {ENROLMENT_LIMIT_MS} ms: {}",
            unhealed(world).join("; ")
        ));
    }
    Ok(())
}

/// Clients at work and things going wrong; then only healing.
fn trouble(world: &mut World, plan: Plan) {
    let trouble_ms = plan.trouble_ms;
    world.clients_work = true;
    if trouble_ms > 0 {
        let now = world.now();
        world.nemesis.wake(now, plan.temper);
    }
    world.wait(trouble_ms.max(5_000), 1000, |_| false);
    Nemesis::heal(world);
    world.clients_work = false;
    let healed = world.wait(HEALING_LIMIT_MS, 100, |world| unhealed(world).is_empty());
    if healed {
        world.trace().note("everything has healed");
        // A machine that is found to differ in the next round had only seemed so.
        world.wait(STEADY_MS, 1000, |_| false);
        world.wait(STEADY_MS, 100, |world| unhealed(world).is_empty());
    }
}

fn report(world: &World, plan: Plan, violations: Vec<Violation>) -> Report {
    let mut answers = BTreeMap::new();
    for call in world.workload.history().all().values() {
        *answers.entry(kind_of(call)).or_default() += 1;
    }
    let machines = world.farm().machines();
    Report {
        plan,
        violations,
        trace: world.trace().lines(),
        digest: world.trace().digest(),
        lasted_ms: world.now(),
        entries: world.oracle().last_index(),
        commands: machines.iter().map(|machine| machine.ledger.len()).sum(),
        answers,
        injections: world.nemesis.made.clone(),
    }
}

const fn kind_of(call: &Call) -> &'static str {
    match &call.told {
        None => "unanswered",
        Some((_, Told::Done(_))) => "done",
        Some((_, Told::Value(_))) => "read",
        Some((_, Told::Refused(_))) => "refused",
        Some((_, Told::Unknown(_))) => "unknown",
    }
}
