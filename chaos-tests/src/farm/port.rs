//! The farm as one conductor process sees it.

use super::{Answer, Asker, Farm, Question};
use crate::plant::Plant;
use crate::world::net::Host;
use baton_model::driver::BmcTarget;
use baton_model::ids::{Epoch, NodeId};
use baton_model::node::intent::BmcSession;
use baton_model::port::BoxFuture;
use baton_model::port::bmc::{Bmc, BmcError, BmcIdentity, PowerAction, PowerRead};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// See the module.
pub struct FarmPort {
    farm: Farm,
    me: Asker,
    /// The tenure under which the lease was last asked, by node: the check stands right before the command.
    checked: Mutex<BTreeMap<NodeId, Epoch>>,
    /// The open session with each BMC.
    sessions: Mutex<BTreeMap<Box<str>, u32>>,
    plant: Plant,
    reads: Mutex<u64>,
}

/// Every third BMC is used without sessions, as Redfish with basic authentication is: nothing there stops a late write.
fn has_sessions(address: &str) -> bool {
    let last = address.rsplit('.').next();
    last.and_then(|last| last.parse::<u32>().ok())
        .is_none_or(|number| number % 3 != 0)
}

/// Of the reads of a conductor that sends stray commands, one in so many is followed by one.
const STRAY_ONE_IN: u64 = 20;

impl FarmPort {
    /// The farm as the `boot`-th process of `host` sees it.
    #[must_use]
    pub const fn new(farm: Farm, host: Host, boot: u64, plant: Plant) -> Self {
        Self {
            farm,
            me: Asker { host, boot },
            checked: Mutex::new(BTreeMap::new()),
            sessions: Mutex::new(BTreeMap::new()),
            plant,
            reads: Mutex::new(0),
        }
    }

    /// The lease was asked for a write to `node`.
    pub fn about_to_write(&self, node: NodeId, epoch: Epoch) {
        self.checked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(node, epoch);
    }

    fn checked_epoch(&self, address: &str) -> Option<Epoch> {
        let node = self.farm.node_at(address)?;
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.get(&node).copied()
    }

    fn known_session(&self, address: &str) -> Option<u32> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(address).copied()
    }

    fn set_session(&self, address: &str, session: Option<u32>) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        match session {
            Some(session) => sessions.insert(address.into(), session),
            None => sessions.remove(address),
        };
    }

    /// The planted bug: a command that nobody asked for.
    fn stray(&self, address: &str) {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        *reads += 1;
        if self.plant == Plant::StrayCommand && reads.is_multiple_of(STRAY_ONE_IN) {
            let question = Question::Act {
                action: PowerAction::Off,
                epoch: self.checked_epoch(address),
                session: None,
            };
            drop(self.farm.ask(self.me, address, question));
        }
    }

    async fn converse(
        &self,
        address: &str,
        question: Question,
        operation: &'static str,
        budget: Duration,
    ) -> Result<Answer, BmcError> {
        let deadline = tokio::time::Instant::now() + budget;
        let answer = self.farm.ask(self.me, address, question);
        if let Ok(Ok(answer)) = tokio::time::timeout_at(deadline, answer).await {
            return Ok(answer);
        }
        // Whoever asked cannot tell a lost packet from a slow BMC.
        tokio::time::sleep_until(deadline).await;
        Err(silent(address, operation, budget))
    }
}

fn address(target: &BmcTarget) -> &str {
    match target {
        BmcTarget::Ipmi(ipmi) => &ipmi.address,
        BmcTarget::Redfish(redfish) => &redfish.origin,
        BmcTarget::Fake => "fake",
    }
}

fn silent(address: &str, operation: &'static str, within: Duration) -> BmcError {
    BmcError::Silent {
        bmc: address.into(),
        operation,
        within,
        attempts: 1,
    }
}

impl Bmc for FarmPort {
    fn power_state<'a>(
        &'a self,
        target: &'a BmcTarget,
        budget: Duration,
    ) -> BoxFuture<'a, Result<PowerRead, BmcError>> {
        Box::pin(async move {
            let address = address(target);
            let session = self.known_session(address);
            self.stray(address);
            let question = Question::Read { session };
            let answer = self
                .converse(address, question, "power status", budget)
                .await?;
            let Answer::Reading { reading, session } = answer else {
                return Err(silent(address, "power status", budget));
            };
            self.set_session(address, Some(session));
            let session = if has_sessions(address) {
                BmcSession::Ipmi(session)
            } else {
                BmcSession::Unbound
            };
            Ok(PowerRead {
                power: reading,
                session: Some(session),
            })
        })
    }

    fn power_action<'a>(
        &'a self,
        target: &'a BmcTarget,
        action: PowerAction,
        session: &'a BmcSession,
        budget: Duration,
    ) -> BoxFuture<'a, Result<(), BmcError>> {
        Box::pin(async move {
            let address = address(target);
            let question = Question::Act {
                action,
                epoch: self.checked_epoch(address),
                session: match session {
                    BmcSession::Ipmi(session) => Some(*session),
                    BmcSession::Redfish(_) | BmcSession::Unbound => None,
                },
            };
            let operation = "power command";
            match self.converse(address, question, operation, budget).await? {
                Answer::SessionOver => {
                    self.set_session(address, None);
                    Err(BmcError::SessionOver {
                        bmc: address.into(),
                        operation,
                    })
                }
                Answer::Done | Answer::Reading { .. } => Ok(()),
            }
        })
    }

    fn end_session<'a>(
        &'a self,
        target: &'a BmcTarget,
        session: &'a BmcSession,
        budget: Duration,
    ) -> BoxFuture<'a, Result<(), BmcError>> {
        Box::pin(async move {
            let BmcSession::Ipmi(session) = session else {
                return Ok(());
            };
            let question = Question::End { session: *session };
            self.converse(address(target), question, "session end", budget)
                .await
                .map(|_| ())
        })
    }

    fn identify<'a>(
        &'a self,
        _: &'a BmcTarget,
        _: Duration,
    ) -> BoxFuture<'a, Result<BmcIdentity, BmcError>> {
        Box::pin(async { Ok(BmcIdentity::default()) })
    }

    fn forget<'a>(&'a self, _: &'a BmcTarget) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn close<'a>(&'a self, _: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}
