//! Talks to conductors as somebody who is no member: looks around, reserves an id, asks to be admitted.

use crate::codec::peer::{Card, NotDone, Purpose, Request, Response, Standing};
use crate::error::ClusterError;
use crate::peer::Local;
use crate::peer::link::{Dialer, Link, LinkError};
use crate::peer::lives::{Found, Lives};
use crate::peer::transport::Transport;
use crate::raft::types::{Member, RaftId};
use baton_model::ids::{ConductorId, Incarnation};
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// How long one conductor may take to answer somebody who looks around.
const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// How long it may take to be let in somewhere: a round trip, and one lost packet.
const KNOCK_LIMIT: Duration = Duration::from_millis(1500);

/// How long one member may take to admit a newcomer: the leader writes one or two entries for it.
const ADMIT_LIMIT: Duration = Duration::from_secs(15);

/// Pause between two rounds over all addresses; an election takes about a second.
const ROUND_PAUSE: Duration = Duration::from_millis(500);

/// See the module. Ends its connections when it is closed.
pub(crate) struct Stranger {
    dialer: Arc<Dialer>,
}

impl Stranger {
    pub(crate) fn new(transport: Arc<dyn Transport>, host: &str) -> Self {
        Self {
            dialer: Arc::new(Dialer {
                transport,
                local: Local {
                    cluster: Uuid::nil(),
                    id: 0,
                    incarnation: Incarnation(0),
                    life: 0,
                },
                host: host.to_owned(),
                lives: Arc::new(Lives::default()),
                known: OnceLock::new(),
                fatal: None,
                tasks: TaskTracker::new(),
                stop: CancellationToken::new(),
            }),
        }
    }

    pub(crate) async fn close(self) {
        self.dialer.stop.cancel();
        self.dialer.tasks.close();
        self.dialer.tasks.wait().await;
    }

    async fn ask(
        &self,
        address: &str,
        request: &Request,
        limit: Duration,
    ) -> Result<Response, LinkError> {
        let link = Link::new(self.dialer.clone(), 0, address.to_owned(), Purpose::Join);
        link.ask(request, limit).await
    }

    /// Who answers at `address`. A founder shows its card.
    pub(crate) async fn look(&self, address: &str, card: Option<&Card>) -> Result<Seen, String> {
        let request = Request::Look(card.cloned());
        match self.ask(address, &request, LOOK_LIMIT).await {
            Ok(Response::Card(card)) => Ok(Seen::Founder(card)),
            Ok(Response::Standing(standing)) => Ok(Seen::Member(standing)),
            Ok(other) => Err(format!("{address}: {other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Which process of conductor `id` of `cluster` is at `address`.
    pub(crate) async fn find(&self, address: &str, cluster: Uuid, id: RaftId) -> Found {
        let knock = self.dialer.transport.knock(address);
        match tokio::time::timeout(KNOCK_LIMIT, knock).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Found::Nobody;
            }
            Ok(Err(_)) | Err(_) => return Found::Nothing,
        }
        match self.look(address, None).await {
            Ok(Seen::Member(standing))
                if (standing.cluster, standing.conductor) == (cluster, id) =>
            {
                Found::Process(standing.life)
            }
            Ok(Seen::Member(_) | Seen::Founder(_)) => Found::Nobody,
            Err(_) => Found::Mute,
        }
    }

    /// Asks for an id under which `member` can join, through any of `via`.
    pub(crate) async fn reserve(
        &self,
        member: &Member,
        via: &[String],
        patience: Duration,
    ) -> Result<(Uuid, ConductorId), ClusterError> {
        let request = Request::Reserve(member.clone());
        self.admission(&request, via, patience).await
    }

    /// Asks to be admitted under an id that was reserved.
    pub(crate) async fn join(
        &self,
        id: RaftId,
        member: &Member,
        via: &[String],
        patience: Duration,
    ) -> Result<(Uuid, ConductorId), ClusterError> {
        let request = Request::Join {
            id,
            member: member.clone(),
        };
        self.admission(&request, via, patience).await
    }

    async fn admission(
        &self,
        request: &Request,
        via: &[String],
        patience: Duration,
    ) -> Result<(Uuid, ConductorId), ClusterError> {
        let deadline = Instant::now() + patience;
        let mut waits = None;
        let mut last = "no address was given".to_owned();
        loop {
            for address in via {
                match self.ask(address, request, ADMIT_LIMIT).await {
                    Ok(Response::Joined { cluster, id }) => return Ok((cluster, ConductorId(id))),
                    Ok(Response::NotDone(NotDone::Refused(detail))) => {
                        return Err(ClusterError::Refused { detail });
                    }
                    Ok(Response::NotDone(NotDone::Wait(detail))) => waits = Some(detail),
                    Ok(other) => last = format!("{address}: {other:?}"),
                    Err(error) => last = error.to_string(),
                }
            }
            if Instant::now() >= deadline {
                return Err(match waits {
                    Some(detail) => ClusterError::Refused { detail },
                    None => ClusterError::Unconfirmed { detail: last },
                });
            }
            tokio::time::sleep(ROUND_PAUSE).await;
        }
    }
}

/// Who answered.
pub(crate) enum Seen {
    Founder(Card),
    Member(Standing),
}
