//! Requests of users: checked, queued while the lock is held, opened as intents.

use super::goal::Goal;
use super::plan::{self, PowerDriver, Step};
use super::{Asker, Context, Effect, Knobs, NodeCore, Phase, Then, Urgency};
use crate::apply::illegal;
use crate::command::{LimitedWork, NodeChange};
use crate::env::Mono;
use crate::ids::{ConductorId, Epoch, Incarnation, IntentId, RequestId};
use crate::node::boot;
use crate::node::edit::Refused;
use crate::node::intent::{BmcWrite, Intent, IntentKind};
use crate::node::power::{PowerCause, PowerRequest, PowerState};
use crate::node::provision::{ProvisionState, Verb};
use crate::node::record::NodeRecord;
use crate::node::steps;
use crate::port::bmc::PowerAction;
use crate::port::chore::Chore;
use crate::port::node::{Caller, NodeAnswer, NodeError, NodeRequest};
use std::time::Duration;

/// Requests that may wait for one node's lock; beyond this they get Ironic's 409 at once. Clients that work through the same
/// machines pile up at the slowest of them: fifty did. A Redfish machine that changes at once serves so many in a third of
/// `node_lock_wait`; at an IPMI machine, which takes a command every few seconds only, most of them wait it out.
pub const QUEUE_MAX: usize = 128;

/// How long a provision worker may take before its owner fails it. Ironic has no such bound (D3: stuck for ever); its
/// own callback timeouts are 30 minutes.
const PROVISION_LIMIT: Duration = Duration::from_secs(1800);

/// How long a power request waits for a first read before its intent is opened without what that read would tell. On a
/// management network a BMC answers within a few milliseconds; one that does not must not keep the caller waiting.
const LOOK_FIRST: Duration = Duration::from_millis(100);

/// A request that waits for the lock.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    asker: Asker,
    id: RequestId,
    request: NodeRequest,
    /// When it gives up and gets 409.
    pub(super) until: Mono,
}

impl NodeCore {
    pub(super) fn on_request(
        &mut self,
        context: Context<'_>,
        asker: Asker,
        id: RequestId,
        request: NodeRequest,
        out: &mut Vec<Effect>,
    ) {
        match request {
            NodeRequest::Inspect => {
                let live = NodeAnswer::Live(self.live(context.now));
                out.push(Effect::Answer {
                    asker,
                    answer: Ok(live),
                });
            }
            NodeRequest::SyncNow => {
                if matches!(self.phase, Phase::Idle) {
                    self.due = context.now;
                }
                out.push(Effect::Answer {
                    asker,
                    answer: Ok(NodeAnswer::Accepted),
                });
            }
            NodeRequest::Ask(inquiry) => self.ask_for(context, asker, inquiry, out),
            NodeRequest::Power { .. }
            | NodeRequest::Provision { .. }
            | NodeRequest::InjectNmi
            | NodeRequest::SetBootDevice { .. }
            | NodeRequest::SetBootMode(_)
            | NodeRequest::SetSecureBoot(_)
            | NodeRequest::Chore { .. } => {
                if self.record.requests.contains(&id) {
                    // Its answer was lost on the way; the work was, or is, under way.
                    let answer = Ok(NodeAnswer::Accepted);
                    out.push(Effect::Answer { asker, answer });
                } else if !context.is_owner {
                    let answer = Err(NodeError::NotOwner(None));
                    out.push(Effect::Answer { asker, answer });
                } else if let Err(refused) = check(&self.record, &request, context.knobs) {
                    out.push(Effect::Answer {
                        asker,
                        answer: Err(refused.into()),
                    });
                } else if self.queue.len() >= QUEUE_MAX {
                    let answer = Err(Refused::locked(self.record.id, context.host).into());
                    out.push(Effect::Answer { asker, answer });
                } else {
                    let until = context.now + context.knobs.lock_wait;
                    self.queue.push_back(Waiting {
                        asker,
                        id,
                        request,
                        until,
                    });
                    // A scheduled read yields to a user: its answer only refreshes what is known.
                    match self.phase {
                        Phase::Reading { ticket, .. } => {
                            self.asked = Some(ticket);
                            self.phase = Phase::Idle;
                        }
                        Phase::Confirming { .. } => self.phase = Phase::Idle,
                        Phase::Idle
                        | Phase::Looking { .. }
                        | Phase::Proposing { .. }
                        | Phase::Working(_) => {}
                    }
                }
            }
        }
    }

    /// Answers those who have waited long enough.
    pub(super) fn expire_waiting(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        let node = self.record.id;
        self.queue.retain(|waiting| {
            let waits = waiting.until > context.now;
            if !waits {
                let answer = Err(Refused::locked(node, context.host).into());
                out.push(Effect::Answer {
                    asker: waiting.asker,
                    answer,
                });
            }
            waits
        });
    }

    /// The node is no longer owned here: whoever waits for its lock waits at the new owner.
    pub(super) fn dismiss_waiting(&mut self, out: &mut Vec<Effect>) {
        out.extend(self.queue.drain(..).map(|waiting| Effect::Answer {
            asker: waiting.asker,
            answer: Err(NodeError::NotOwner(None)),
        }));
    }

    /// Starts the first waiting request; false if nobody waits.
    pub(super) fn serve_waiting(&mut self, context: Context<'_>, out: &mut Vec<Effect>) -> bool {
        while let Some(waiting) = self.queue.pop_front() {
            if self.record.requests.contains(&waiting.id) {
                out.push(Effect::Answer {
                    asker: waiting.asker,
                    answer: Ok(NodeAnswer::Accepted),
                });
                continue;
            }
            // The node may have changed while the request waited.
            if let Err(refused) = check(&self.record, &waiting.request, context.knobs) {
                out.push(Effect::Answer {
                    asker: waiting.asker,
                    answer: Err(refused.into()),
                });
                continue;
            }
            if self.looks_first(context, &waiting) {
                let ticket = self.ticket();
                let urgency = Urgency::User;
                out.push(Effect::Read { ticket, urgency });
                self.asked = Some(ticket);
                let until = context.now + LOOK_FIRST;
                self.phase = Phase::Looking { waiting, until };
                return true;
            }
            self.open(context, waiting, out);
            if !matches!(self.phase, Phase::Idle) {
                return true;
            }
        }
        false
    }

    /// The first read was answered or takes too long: open the intent with what is known.
    pub(super) fn end_of_look(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        let Phase::Looking { waiting, .. } = std::mem::take(&mut self.phase) else {
            return;
        };
        if self.record.intent.is_some() {
            // Somebody else's work is open now; wait for the lock like everybody.
            self.queue.push_front(waiting);
            return;
        }
        match check(&self.record, &waiting.request, context.knobs) {
            Ok(()) => self.open(context, waiting, out),
            Err(refused) => out.push(Effect::Answer {
                asker: waiting.asker,
                answer: Err(refused.into()),
            }),
        }
    }

    /// A power request needs a read before its first command, and a session that the intent's entry names. Reading
    /// before the entry is proposed gets both at the cost of the read alone.
    fn looks_first(&self, context: Context<'_>, waiting: &Waiting) -> bool {
        let needs_session = matches!(
            waiting.request,
            NodeRequest::Power { .. }
                | NodeRequest::InjectNmi
                | NodeRequest::SetBootDevice { .. }
                | NodeRequest::SetBootMode(_)
                | NodeRequest::SetSecureBoot(_)
                | NodeRequest::Chore { .. }
        );
        needs_session && self.has_bmc() && self.fresh_reading(context.now).is_none()
    }

    /// The first write of a power request, as far as it is known before its intent is opened.
    pub(super) fn first_write(
        &self,
        context: Context<'_>,
        request: PowerRequest,
        timeout: Option<Duration>,
    ) -> Option<BmcWrite> {
        let reading = self.fresh_reading(context.now)?;
        let seen = PowerState::from_reading(reading);
        if !request.is_reboot() && seen == Some(request.target())
            || self.needs_relatives(context, request)
        {
            return None;
        }
        let steps = plan::plan(&self.record, request, timeout, seen, context.knobs).ok()?;
        match steps.front()? {
            Step::Act(action) => self.write_in_open_session(context, *action),
            Step::Await { .. } | Step::Relatives { .. } | Step::Settle(_) | Step::Probe { .. } => {
                None
            }
        }
    }

    /// The announcement of a command in the session that the last read left open.
    fn write_in_open_session(&self, context: Context<'_>, action: PowerAction) -> Option<BmcWrite> {
        let session = self
            .fresh_session(context.now)
            .filter(|_| self.record.unfenced.is_none())?;
        Some(BmcWrite {
            session,
            action,
            accepted: false,
        })
    }

    pub(super) fn open(&mut self, context: Context<'_>, waiting: Waiting, out: &mut Vec<Effect>) {
        let Waiting {
            asker, id, request, ..
        } = waiting;
        let knobs = context.knobs;
        match request {
            NodeRequest::Power {
                request,
                timeout_s,
                caller,
            } => {
                let timeout = timeout_s.map(|s| Duration::from_secs(u64::from(s)));
                let kind = IntentKind::Power { request, timeout_s };
                let limit = plan::limit(request, timeout, knobs)
                    + self.relatives_limit(context, request).unwrap_or_default();
                let write = self.first_write(context, request, timeout);
                let changes = vec![
                    NodeChange::Asked(id.clone()),
                    self.intent(context, kind, limit, Some(id), write),
                    NodeChange::TargetPower(Some(request.target())),
                    NodeChange::LastError(None),
                ];
                let then = Then::Start {
                    asker: Some(asker),
                    cause: match caller {
                        Caller::Operator => PowerCause::User,
                        Caller::Compute => PowerCause::Compute,
                    },
                    at_end: false,
                };
                self.propose(None, changes, then, out);
            }
            NodeRequest::InjectNmi => {
                let kind = IntentKind::InjectNmi;
                let write = self.write_in_open_session(context, PowerAction::Nmi);
                let changes = vec![
                    NodeChange::Asked(id.clone()),
                    self.intent(context, kind, knobs.change_timeout, Some(id), write),
                ];
                let then = Then::Start {
                    asker: Some(asker),
                    cause: PowerCause::User,
                    at_end: false,
                };
                self.propose(None, changes, then, out);
            }
            NodeRequest::SetBootDevice { device, persistent } => {
                let kind = IntentKind::BootDevice { device, persistent };
                self.open_command(context, (asker, id), kind, true, out);
            }
            NodeRequest::SetBootMode(mode) => {
                self.open_command(context, (asker, id), IntentKind::BootMode(mode), false, out);
            }
            NodeRequest::SetSecureBoot(on) => {
                self.open_command(context, (asker, id), IntentKind::SecureBoot(on), false, out);
            }
            NodeRequest::Chore {
                chore,
                cargo,
                at_end,
            } => {
                let kind = IntentKind::Chore { chore, cargo };
                self.open_command(context, (asker, id), kind, at_end, out);
            }
            NodeRequest::Provision {
                verb: Verb::Abort, ..
            } => match steps::abort(&self.record) {
                Ok(mut changes) => {
                    changes.insert(0, NodeChange::Asked(id));
                    let then = Then::Answer { asker };
                    self.propose(Some(self.record.revision), changes, then, out);
                }
                Err(refused) => out.push(Effect::Answer {
                    asker,
                    answer: Err(refused.into()),
                }),
            },
            NodeRequest::Provision { verb, arguments } => {
                let mut changes = vec![NodeChange::Asked(id.clone())];
                changes.extend(self.limit_of(verb, knobs));
                let then = if Goal::of(&self.record, verb).is_some() {
                    let kind = IntentKind::Provision { verb };
                    changes.push(self.intent(context, kind, PROVISION_LIMIT, Some(id), None));
                    changes.push(NodeChange::LastError(None));
                    Then::Start {
                        asker: Some(asker),
                        cause: PowerCause::Step,
                        at_end: false,
                    }
                } else {
                    Then::Answer { asker }
                };
                changes.extend(steps::wanted(&self.record, verb, &arguments.to_map()));
                // Manual cleaning ends where it began.
                let target = (verb == Verb::Clean).then_some(ProvisionState::Manageable);
                changes.push(NodeChange::Provision { verb, target });
                if verb == Verb::Unhold {
                    // Nothing outside has to report before the steps go on.
                    changes.push(NodeChange::Provision {
                        verb: Verb::Resume,
                        target: None,
                    });
                }
                self.propose(Some(self.record.revision), changes, then, out);
            }
            NodeRequest::Inspect | NodeRequest::SyncNow | NodeRequest::Ask(_) => {
                out.push(Effect::Answer {
                    asker,
                    answer: Ok(NodeAnswer::Accepted),
                });
            }
        }
    }

    /// Opens the intent of one command that is no power change.
    fn open_command(
        &mut self,
        context: Context<'_>,
        (asker, id): (Asker, RequestId),
        kind: IntentKind,
        at_end: bool,
        out: &mut Vec<Effect>,
    ) {
        let limit = context.knobs.change_timeout;
        let mut changes = vec![
            NodeChange::Asked(id.clone()),
            self.intent(context, kind, limit, Some(id), None),
        ];
        if !at_end {
            changes.push(NodeChange::LastError(None));
        }
        let then = Then::Start {
            asker: Some(asker),
            cause: PowerCause::User,
            at_end,
        };
        self.propose(None, changes, then, out);
    }

    /// The limit that a verb is under. It is checked where it holds: in the entry that starts the work.
    fn limit_of(&self, verb: Verb, knobs: &Knobs) -> Option<NodeChange> {
        let (work, max) = match verb {
            Verb::Deploy | Verb::Rebuild => {
                (LimitedWork::Provisioning, knobs.limits.concurrent_deploy)
            }
            Verb::Delete => (LimitedWork::Unprovisioning, knobs.limits.concurrent_clean),
            Verb::Clean => (LimitedWork::Cleaning, knobs.limits.concurrent_clean),
            Verb::Manage
            | Verb::Provide
            | Verb::Inspect
            | Verb::Abort
            | Verb::Adopt
            | Verb::Rescue
            | Verb::Unrescue
            | Verb::Service
            | Verb::Unhold
            | Verb::Done
            | Verb::Fail
            | Verb::Wait
            | Verb::Resume
            | Verb::Hold => return None,
        };
        Some(NodeChange::CheckLimit { work, max })
    }

    pub(super) fn intent(
        &self,
        context: Context<'_>,
        kind: IntentKind,
        limit: Duration,
        request: Option<RequestId>,
        write: Option<BmcWrite>,
    ) -> NodeChange {
        NodeChange::OpenIntent(Box::new(Intent {
            kind,
            since: context.wall,
            limit_s: u32::try_from(limit.as_secs()).unwrap_or(u32::MAX),
            request,
            write,
            // Filled in by `apply`.
            id: IntentId(0),
            holder: ConductorId(0),
            incarnation: Incarnation(0),
            epoch: Epoch(0),
        }))
    }
}

/// The rules that need no lock, checked when a request arrives and again when its turn comes.
fn check(node: &NodeRecord, request: &NodeRequest, knobs: &Knobs) -> Result<(), Refused> {
    match request {
        NodeRequest::Power { request, .. } => check_power(node, *request),
        NodeRequest::Provision { verb, arguments } => {
            check_provision(node, *verb)?;
            let seconds = knobs.limits.wait_step_seconds;
            steps::check(node, *verb, &arguments.to_map(), seconds)
        }
        NodeRequest::InjectNmi => match PowerDriver::of(node) {
            PowerDriver::Ipmi | PowerDriver::Redfish => Ok(()),
            PowerDriver::Fake | PowerDriver::None => Err(Refused::new(
                400,
                format!(
                    "Driver {} does not support inject_nmi (disabled or not implemented).",
                    node.driver
                ),
            )),
        },
        NodeRequest::SetBootDevice { device, .. } => {
            boot::check_device(node, *device)?;
            boot::manager(node, "set_boot_device").map(drop)
        }
        NodeRequest::SetBootMode(_) => check_boots(node, "set_boot_mode"),
        NodeRequest::SetSecureBoot(_) => check_boots(node, "set_secure_boot"),
        NodeRequest::Chore { chore, .. } => check_chore(node, *chore),
        NodeRequest::Inspect | NodeRequest::SyncNow | NodeRequest::Ask(_) => Ok(()),
    }
}

/// A chore is done by the interface that offers it, over the BMC that the power interface reaches.
fn check_chore(node: &NodeRecord, chore: Chore) -> Result<(), Refused> {
    let vendor = &*node.interfaces.vendor;
    let can = match (chore, PowerDriver::of(node)) {
        (Chore::Light, PowerDriver::Redfish) => &*node.interfaces.management == "redfish",
        (Chore::Raw | Chore::RestartBmc, PowerDriver::Ipmi) => vendor == "ipmitool",
        (Chore::EjectMedia | Chore::Subscribe | Chore::Unsubscribe, PowerDriver::Redfish) => {
            vendor == "redfish"
        }
        // Steps change settings, and nothing else does.
        (_, PowerDriver::Ipmi | PowerDriver::Redfish | PowerDriver::Fake | PowerDriver::None) => {
            false
        }
    };
    if can {
        Ok(())
    } else {
        Err(boot::unsupported(node, chore.operation()))
    }
}

/// Only Redfish can change how a machine boots, and not while something else is being done to it.
fn check_boots(node: &NodeRecord, what: &str) -> Result<(), Refused> {
    if boot::manager(node, what)? != PowerDriver::Redfish {
        return Err(boot::unsupported(node, what));
    }
    let state = node.provision_state;
    if state.is_working() || state.is_waiting() {
        let text = format!(
            "Node {} is in state \"{state}\" and on its way to another; changing how it boots might interfere. Try again \
             later.",
            node.id
        );
        return Err(Refused::new(409, text));
    }
    Ok(())
}

fn check_power(node: &NodeRecord, request: PowerRequest) -> Result<(), Refused> {
    if matches!(
        node.provision_state,
        ProvisionState::Cleaning | ProvisionState::CleanWait
    ) {
        let text = format!(
            "The requested action \"{request}\" can not be performed on node \"{}\" while it is in state \"{}\".",
            node.id, node.provision_state
        );
        return Err(Refused::new(400, text));
    }
    if node.disable_power_off && matches!(request, PowerRequest::Off | PowerRequest::SoftOff) {
        return Err(Refused::new(
            409,
            format!(
                "Failed to set node power state to {request}. The flag disable_power_off is set on node {}.",
                node.id
            ),
        ));
    }
    plan::plan(node, request, None, None, &super::Knobs::default()).map(|_| ())
}

fn check_provision(node: &NodeRecord, verb: Verb) -> Result<(), Refused> {
    let state = node.provision_state;
    if !verb.is_for_users(state) || state.after(verb).is_none() {
        return Err(illegal(node, verb));
    }
    if matches!(verb, Verb::Delete | Verb::Rebuild) && node.protected {
        let text = format!(
            "Node {} is protected and cannot be undeployed, rebuilt or deleted",
            node.id
        );
        return Err(Refused::new(403, text));
    }
    let in_maintenance = |operation: &str| {
        let text = format!(
            "The {operation} operation can't be performed on node {} because it's in maintenance mode.",
            node.id
        );
        Err(Refused::new(400, text))
    };
    match verb {
        Verb::Deploy | Verb::Rebuild if node.maintenance => return in_maintenance("provisioning"),
        Verb::Clean if node.maintenance => return in_maintenance("cleaning"),
        Verb::Rescue if node.maintenance => return in_maintenance("rescuing"),
        Verb::Unrescue if node.maintenance => return in_maintenance("unrescuing"),
        Verb::Service if node.maintenance => return in_maintenance("service"),
        Verb::Provide if node.retired => {
            let text = format!(
                "The providing operation can't be performed on node {} because it is retired.",
                node.id
            );
            return Err(Refused::new(400, text));
        }
        _ => {}
    }
    Goal::check(node, verb)
}
