//! Whom this member talks to. The first message of a connection says who calls; a stranger may only ask to join, and of
//! two processes of one conductor the one that has the place is heard.

use crate::answers::{Answers, address_of};
use crate::codec::peer::{Hello, Purpose, Request, Response, Welcome};
use crate::peer::lives::{Denied, Found, Greeting};
use crate::peer::server::{Answer, Caller};
use crate::stranger::Stranger;
use baton_model::port::BoxFuture;
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use std::time::Duration;
use uuid::Uuid;

impl Answers {
    /// Whether a caller may be who it says, as far as this member knows the members.
    fn check_member(&self, hello: &Hello) -> Result<(), String> {
        let Some(raft) = self.raft.get() else {
            return Ok(());
        };
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        match metrics.membership_config.get_node(&hello.from) {
            Some(known) if known.host != hello.host => Err(format!(
                "conductor {} is {}, the caller is {}",
                hello.from, known.host, hello.host
            )),
            None if metrics.state == ServerState::Leader => Err(format!(
                "conductor {} is no member of the cluster",
                hello.from
            )),
            // A member that lags may not know its newest fellows.
            Some(_) | None => Ok(()),
        }
    }

    /// Why not to talk to this caller; `None` if it is whom it says it is.
    async fn objection(&self, hello: &Hello) -> Option<Denied> {
        let never = |reason: String| {
            Some(Denied {
                reason,
                twin: false,
            })
        };
        if hello.purpose == Purpose::Join {
            return if hello.cluster != Uuid::nil() || hello.from != 0 {
                never("a member of a cluster cannot join one".to_owned())
            } else {
                None
            };
        }
        if hello.cluster != self.local.cluster {
            return never(format!(
                "this is cluster {}, the caller belongs to {}",
                self.local.cluster, hello.cluster
            ));
        }
        if hello.to != self.local.id {
            return never(format!(
                "this is conductor {}, the caller wants {}",
                self.local.id, hello.to
            ));
        }
        if hello.from == self.local.id || hello.from == 0 {
            return never(format!(
                "the caller says that it is conductor {}; two processes have one identity",
                hello.from
            ));
        }
        if let Err(reason) = self.check_member(hello) {
            return never(reason);
        }
        match self.lives.greet(hello.from, hello.incarnation, hello.life) {
            Greeting::Heard => None,
            Greeting::Refused(reason) => Some(Denied { reason, twin: true }),
            Greeting::Unsure { silent } => self.look_for_the_other(hello, silent).await,
        }
    }

    /// Sees who is at the address of a conductor of which another process was heard before.
    async fn look_for_the_other(&self, hello: &Hello, silent: Duration) -> Option<Denied> {
        let address = self
            .raft
            .get()
            .and_then(|raft| address_of(raft, hello.from));
        let found = match address {
            Some(address) => {
                let stranger = Stranger::new(self.peers.transport(), &self.host);
                let found = stranger
                    .find(&address, self.local.cluster, hello.from)
                    .await;
                stranger.close().await;
                found
            }
            // It is no member yet, or not known here.
            None => Found::Nothing,
        };
        if let Err(denied) = found.judge(hello.from, hello.life, silent) {
            return Some(denied);
        }
        let now = self
            .lives
            .answered(hello.from, hello.incarnation, hello.life);
        now.err().map(|reason| Denied { reason, twin: true })
    }

    fn leads(&self) -> bool {
        self.raft
            .get()
            .is_some_and(|raft| raft.metrics().borrow_watched().state == ServerState::Leader)
    }
}

impl Answer for Answers {
    fn greet<'a>(&'a self, hello: &'a Hello) -> BoxFuture<'a, Welcome> {
        Box::pin(async move {
            match self.objection(hello).await {
                None => Welcome::Accepted {
                    conductor: self.local.id,
                    incarnation: self.local.incarnation,
                    life: self.local.life,
                    host: self.host.clone(),
                },
                // One word decides which of two processes ends, or both might.
                Some(Denied { reason, twin }) => Welcome::Refused {
                    reason,
                    twin: twin && self.leads(),
                },
            }
        })
    }

    fn answer(&self, caller: Caller, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self.respond(caller, request))
    }
}
