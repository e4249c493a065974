//! What work asks its machine besides the power state: an inspection, and whether BIOS settings are as they should be.

use super::goal::Goal;
use super::work::{Doing, POLL_FIRST, Poll};
use super::{Context, Effect, NodeCore, Phase, RETRY_AFTER, ReadError, Urgency};
use crate::command::NodeChange;
use crate::env::Mono;
use crate::ids::Ticket;
use crate::json::Json;
use crate::node::bios;
use crate::node::boot::BootState;
use crate::node::provision::Verb;
use crate::node::steps::{self, BiosChange, Kind, Progress};
use crate::object::Kind as ObjectKind;
use crate::port::bmc::{BmcError, ErrorClass};
use crate::port::inquiry::{Disclosure, Findings, Inquiry, Inventory};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How long one answer may be waited for, queueing included. Beyond what the pool gives a question, so that it only
/// guards against an answer that never comes.
pub(super) const PROBE_LIMIT: Duration = Duration::from_secs(120);

/// How long after a restart BIOS settings may take to be as wanted: large servers start twice for them, and take some
/// five minutes each time.
pub(super) const BIOS_LIMIT: Duration = Duration::from_secs(1200);

/// The longest time between two looks at them: a table of settings is a large thing to read.
const BIOS_POLL_MAX: Duration = Duration::from_secs(10);

/// A question that work waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Probe {
    /// What the machine is made of.
    Inventory,
    /// Whether its BIOS settings are as wanted already; then the step is over.
    BiosBefore,
    /// Whether they are after the restart.
    BiosAfter,
}

impl Probe {
    const fn inquiry(self) -> Inquiry {
        match self {
            Self::Inventory => Inquiry::Inventory,
            Self::BiosBefore | Self::BiosAfter => Inquiry::Findings,
        }
    }
}

impl NodeCore {
    /// Begins to ask.
    pub(super) fn begin_to_probe(
        &mut self,
        now: Mono,
        probe: Probe,
        limit: Duration,
        out: &mut Vec<Effect>,
    ) {
        if let Phase::Working(work) = &mut self.phase {
            work.doing = Doing::Probing {
                probe,
                since: now,
                until: now + limit,
                next: Poll::At(now),
                last: Box::default(),
            };
        }
        self.probe(now, out);
    }

    /// Asks, or asks again.
    pub(super) fn probe(&mut self, now: Mono, out: &mut Vec<Effect>) {
        let ticket = self.ticket();
        if let Phase::Working(work) = &mut self.phase
            && let Doing::Probing { probe, next, .. } = &mut work.doing
        {
            *next = Poll::Asked(ticket, now);
            let (inquiry, urgency) = (probe.inquiry(), Urgency::User);
            out.push(Effect::Ask {
                ticket,
                inquiry,
                urgency,
            });
        }
    }

    /// Whether the present work waits for this answer.
    pub(super) fn probes_with(&self, ticket: Ticket) -> bool {
        matches!(&self.phase, Phase::Working(work)
            if matches!(work.doing, Doing::Probing { next: Poll::Asked(asked, _), .. } if asked == ticket))
    }

    pub(super) fn on_probed(
        &mut self,
        context: Context<'_>,
        result: Result<Box<Disclosure>, ReadError>,
        out: &mut Vec<Effect>,
    ) {
        let Phase::Working(work) = &mut self.phase else {
            return;
        };
        let Doing::Probing {
            probe,
            since,
            next,
            last,
            ..
        } = &mut work.doing
        else {
            return;
        };
        let (probe, waited) = (*probe, context.now.since(*since));
        let again = context.now + (waited / 10).clamp(POLL_FIRST, BIOS_POLL_MAX);
        match result.map(|told| *told) {
            Err(ReadError::NoRoom(_)) => *next = Poll::At(context.now + RETRY_AFTER),
            // A BMC may stumble while its machine starts; only what cannot heal ends the wait.
            Err(error)
                if probe == Probe::BiosAfter
                    && error.bmc().map(BmcError::class) != Some(ErrorClass::NeedsOperator) =>
            {
                *last = error.to_string().into();
                *next = Poll::At(again);
            }
            Err(error) => self.fail(&error.to_string(), out),
            Ok(Disclosure::Inventory(found)) if probe == Probe::Inventory => {
                self.inspected(found, out);
            }
            Ok(Disclosure::Findings(found)) if probe != Probe::Inventory => {
                self.on_settings(context, probe, found, again, out);
            }
            Ok(_) => self.fail("the BMC was asked one thing and told another", out),
        }
    }

    /// What the running step wants of the BIOS.
    fn bios_change(&self) -> Option<(BiosChange, Map<String, Value>)> {
        let Some(Goal::Steps(flow)) = self.goal() else {
            return None;
        };
        let progress = Progress::of(&self.record, flow);
        let step = progress.running()?;
        match steps::kind(&self.record, flow, step)? {
            Kind::Bios(change) => Some((change, bios::wanted(step).unwrap_or_default())),
            Kind::Power(_) | Kind::Hold | Kind::Wait(_) | Kind::Instant | Kind::Asynchronous => {
                None
            }
        }
    }

    fn on_settings(
        &mut self,
        context: Context<'_>,
        probe: Probe,
        found: Findings,
        again: Mono,
        out: &mut Vec<Effect>,
    ) {
        let wrong = match self.bios_change() {
            Some((BiosChange::Apply, wanted)) => bios::unapplied(&wanted, found.bios.as_ref()),
            Some((BiosChange::Reset, _)) if found.reset_pending => {
                vec!["the reset is still pending".to_owned()]
            }
            Some((BiosChange::Reset, _)) | None => Vec::new(),
        };
        let Phase::Working(work) = &mut self.phase else {
            return;
        };
        if wrong.is_empty() {
            if probe == Probe::BiosBefore {
                // Nothing is sent and nothing restarts.
                work.steps.clear();
            }
            self.found = Some(Box::new(found));
        } else if let (Probe::BiosAfter, Doing::Probing { next, last, .. }) =
            (probe, &mut work.doing)
        {
            *last = wrong.join(", ").into();
            *next = Poll::At(again);
            return;
        }
        self.advance(context, out);
    }

    /// The wait is over and nothing has come of it.
    pub(super) fn end_of_probe(&mut self, out: &mut Vec<Effect>) {
        let Phase::Working(work) = &self.phase else {
            return;
        };
        let Doing::Probing { probe, last, .. } = &work.doing else {
            return;
        };
        let text = match probe {
            Probe::Inventory | Probe::BiosBefore => format!(
                "the answer to `{}` was lost inside the conductor; see its log",
                probe.inquiry()
            ),
            Probe::BiosAfter => format!(
                "the machine was restarted, but {} minutes later its BIOS settings are not as wanted: {last}",
                BIOS_LIMIT.as_secs() / 60
            ),
        };
        self.fail(&text, out);
    }

    /// The machine has told what it is made of.
    fn inspected(&mut self, found: Inventory, out: &mut Vec<Effect>) {
        let mut properties = self.record.properties.to_map();
        let missing = describe(&mut properties, &found);
        if !missing.is_empty() {
            // What Ironic's `ESSENTIAL_PROPERTIES` demands.
            let text = format!(
                "Failed to discover the following properties: {} on node {}; its BMC does not tell them. Set them by hand",
                missing.join(", "),
                self.record.id
            );
            self.fail(&text, out);
            return;
        }
        let mut inventory = Map::new();
        let document = Value::Object(found.document.to_map());
        inventory.insert("inventory".to_owned(), document);
        inventory.insert("plugin_data".to_owned(), json!({}));
        let mut changes = vec![
            NodeChange::Properties(Json::from_map(&properties)),
            NodeChange::Findings {
                kind: ObjectKind::Inventory,
                body: Json::from_map(&inventory),
            },
            NodeChange::Ports(found.macs),
        ];
        changes.extend(self.boots_change(BootState {
            mode: found.boot_mode,
            ..BootState::default()
        }));
        changes.push(NodeChange::Provision {
            verb: Verb::Done,
            target: None,
        });
        self.close(changes, out);
    }
}

/// Writes what was found into a node's properties, as Ironic's `redfish` inspection does; gives the names of those that it
/// lacks and that are not known otherwise.
fn describe(properties: &mut Map<String, Value>, found: &Inventory) -> Vec<&'static str> {
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            properties.insert(key.to_owned(), value);
        }
    };
    set("memory_mb", found.memory_mb.map(Value::from));
    set("cpus", found.cpus.map(Value::from));
    set("cpu_arch", found.cpu_arch.as_deref().map(Value::from));
    set("local_gb", Some(Value::from(found.local_gb)));
    let vendor = properties.get("vendor").and_then(Value::as_str);
    if let (Some(vendor), true) = (&found.vendor, vendor.unwrap_or_default().is_empty()) {
        properties.insert("vendor".to_owned(), Value::from(&**vendor));
    }
    if let Some(mode) = found.boot_mode {
        note_mode(properties, mode.as_str());
    }
    ["cpu_arch", "memory_mb"]
        .into_iter()
        .filter(|key| properties.get(*key).is_none_or(Value::is_null))
        .collect()
}

/// Adds the boot mode to the capabilities, unless an operator has said which is wanted.
fn note_mode(properties: &mut Map<String, Value>, mode: &str) {
    const KEY: &str = "capabilities";
    match properties.get_mut(KEY) {
        Some(Value::Object(all)) => {
            all.entry("boot_mode").or_insert_with(|| mode.into());
        }
        Some(Value::String(list)) if !list.is_empty() => {
            let is_said = list.split(',').any(|item| {
                let name = item.split(':').next().unwrap_or_default();
                name.trim() == "boot_mode"
            });
            if !is_said {
                list.push_str(",boot_mode:");
                list.push_str(mode);
            }
        }
        Some(_) | None => {
            let list = format!("boot_mode:{mode}");
            properties.insert(KEY.to_owned(), list.into());
        }
    }
}
