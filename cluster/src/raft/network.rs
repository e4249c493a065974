//! openraft's messages over [`crate::peer`]. Log entries, heartbeats and snapshots have a connection each.

use crate::codec::peer::{Purpose, Request, Response, SnapshotHead, Voted};
use crate::codec::raft::Blob;
use crate::codec::state::encode_stored;
use crate::lease::LeaderLease;
use crate::peer::link::{Dialer, Link, LinkError};
use crate::peer::transport::Transport;
use crate::raft::snapshot::{Image, Snapshot};
use crate::raft::types::{Entry, Member, RaftId, TypeConfig, Vote};
use openraft::error::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{EntryPayload, OptionalSend};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes of records in one part of a snapshot, unless a single record is larger.
const PART_BYTES: usize = 1 << 20;

/// Bytes of proposals in one message of log entries, unless a single entry is larger. A message has to be stored by
/// its receiver before the election timeout is over; this much takes some ten milliseconds.
const MESSAGE_BYTES: usize = 4 << 20;

/// How long a receiver may take to store entries. Its disk may be slow for a moment, and giving up on it only makes the
/// leader wait and send the same again; a receiver that is gone is noticed by its connection, or by the heartbeats.
const STORE_LIMIT: Duration = Duration::from_secs(1);

/// How long a receiver may take to answer one part: it decodes a mebibyte.
const PART_LIMIT: Duration = Duration::from_secs(10);

/// How long a receiver may take to install: 100,000 records at some 20,000 a second, and room for a slow disk.
pub const INSTALL_LIMIT: Duration = Duration::from_secs(120);

/// Every link of this process, opened on demand.
#[derive(Clone)]
pub struct Peers {
    dialer: Arc<Dialer>,
    links: Arc<Mutex<BTreeMap<(RaftId, Purpose), Link>>>,
    transfers: Arc<AtomicU64>,
    lease: Arc<LeaderLease>,
}

impl Peers {
    /// No link yet. `first_transfer` numbers this life's snapshot transfers apart from an earlier life's.
    #[must_use]
    pub(crate) fn new(dialer: Arc<Dialer>, first_transfer: u64, lease: Arc<LeaderLease>) -> Self {
        Self {
            dialer,
            links: Arc::default(),
            transfers: Arc::new(AtomicU64::new(first_transfer)),
            lease,
        }
    }

    /// What the links go over.
    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        self.dialer.transport.clone()
    }

    /// The link to `id` for `purpose`; a new one if the peer has moved.
    #[must_use]
    pub fn link(&self, id: RaftId, address: &str, purpose: Purpose) -> Link {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links
            .get(&(id, purpose))
            .filter(|link| link.address() == address)
            .cloned()
            .unwrap_or_else(|| {
                let link = Link::new(self.dialer.clone(), id, address.to_owned(), purpose);
                links.insert((id, purpose), link.clone());
                link
            })
    }
}

impl RaftNetworkFactory<TypeConfig> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: RaftId, node: &Member) -> Peer {
        self.peer(target, node, Purpose::Raft)
    }

    async fn new_heartbeat_client(&mut self, target: RaftId, node: &Member) -> Peer {
        self.peer(target, node, Purpose::Heartbeat)
    }

    async fn new_snapshot_client(&mut self, target: RaftId, node: &Member) -> Peer {
        self.peer(target, node, Purpose::Snapshot)
    }
}

impl Peers {
    fn peer(&self, target: RaftId, node: &Member, purpose: Purpose) -> Peer {
        Peer {
            link: self.link(target, &node.address, purpose),
            purpose,
            peers: self.clone(),
        }
    }
}

/// How many of these entries go into one message: at least one.
fn fitting(entries: &[Entry]) -> usize {
    let mut bytes = 0;
    let fitting = entries.iter().take_while(|entry| {
        bytes += match &entry.payload {
            EntryPayload::Normal(proposals) => proposals.0.len(),
            EntryPayload::Blank | EntryPayload::Membership(_) => 0,
        };
        bytes <= MESSAGE_BYTES
    });
    fitting.count().max(entries.len().min(1))
}

/// One peer as openraft sees it.
pub struct Peer {
    link: Link,
    purpose: Purpose,
    peers: Peers,
}

fn rpc_error(error: LinkError) -> RPCError<TypeConfig> {
    match error {
        LinkError::Unreachable { .. } => RPCError::Unreachable(Unreachable::new(&error)),
        LinkError::Unanswered { .. } => RPCError::Network(NetworkError::new(&error)),
    }
}

fn unexpected(response: &Response) -> RPCError<TypeConfig> {
    let text = if let Response::Failed(reason) = response {
        format!("the peer could not answer: {reason}")
    } else {
        format!("the peer answered something else: {response:?}")
    };
    // Openraft waits before it asks again.
    RPCError::Unreachable(Unreachable::from_string(text))
}

impl Peer {
    /// Openraft keeps this peer when the membership says that it is found elsewhere; whoever is not found is looked for
    /// there the next time.
    async fn ask(
        &mut self,
        request: Request,
        limit: Duration,
    ) -> Result<Response, RPCError<TypeConfig>> {
        let answer = self.link.ask(&request, limit).await;
        if answer.is_err()
            && let Some(member) = self.peers.dialer.member(self.link.peer())
            && member.address != self.link.address()
        {
            self.link = self
                .peers
                .link(self.link.peer(), &member.address, self.purpose);
        }
        answer.map_err(rpc_error)
    }

    async fn vote_like(
        &mut self,
        request: Request,
        option: &RPCOption,
    ) -> Result<Voted, RPCError<TypeConfig>> {
        let response = self.ask(request, option.soft_ttl()).await?;
        let Response::Vote(voted) = response else {
            return Err(unexpected(&response));
        };
        Ok(voted)
    }

    async fn snapshot_part(&mut self, request: Request) -> Result<(), RPCError<TypeConfig>> {
        let response = self.ask(request, PART_LIMIT).await?;
        let Response::SnapshotGoOn = response else {
            return Err(unexpected(&response));
        };
        Ok(())
    }

    async fn send_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
    ) -> Result<SnapshotResponse<TypeConfig>, RPCError<TypeConfig>> {
        let transfer = self.peers.transfers.fetch_add(1, Ordering::Relaxed);
        let head = SnapshotHead {
            vote: vote.into(),
            last_applied: snapshot.meta.last_log_id.map(Into::into),
            membership: (&snapshot.meta.last_membership).into(),
            transfer,
        };
        self.snapshot_part(Request::SnapshotBegin(head)).await?;
        let mut number = 0;
        let mut total = 0;
        let mut bytes = 0;
        let mut records = Vec::new();
        let mut source = snapshot.snapshot.0.all_stored().peekable();
        while let Some(record) = source.next() {
            let record = encode_stored(&record)
                .map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
            bytes += record.len();
            total += 1;
            records.push(Blob::from(record));
            if bytes >= PART_BYTES || source.peek().is_none() {
                self.snapshot_part(Request::SnapshotPart {
                    transfer,
                    number,
                    records: std::mem::take(&mut records),
                })
                .await?;
                number += 1;
                bytes = 0;
            }
        }
        let end = Request::SnapshotEnd {
            transfer,
            parts: number,
            records: total,
        };
        let response = self.ask(end, INSTALL_LIMIT).await?;
        let Response::SnapshotInstalled(vote) = response else {
            return Err(unexpected(&response));
        };
        Ok(SnapshotResponse::new(vote.into()))
    }
}

impl RaftNetworkV2<TypeConfig> for Peer {
    type SnapshotData = Image;

    async fn append_entries(
        &mut self,
        mut rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let fitting = fitting(&rpc.entries);
        let all = fitting == rpc.entries.len();
        rpc.entries.truncate(fitting);
        let last = rpc.entries.last().map(|entry| entry.log_id);
        let limit = match last {
            Some(_) => STORE_LIMIT.max(option.soft_ttl()),
            None => option.soft_ttl(),
        };
        let request = Request::Append(rpc.into());
        let response = self.ask(request, limit).await?;
        let Response::Append(appended) = response else {
            return Err(unexpected(&response));
        };
        Ok(match appended.into() {
            AppendEntriesResponse::Success if !all => AppendEntriesResponse::PartialSuccess(last),
            answer => answer,
        })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        if rpc.leadership_transfer {
            self.peers.lease.waive();
        }
        let voted = self.vote_like(Request::Vote(rpc.into()), &option).await?;
        if !voted.lease_kept {
            self.peers.lease.waive();
        }
        Ok(voted.into())
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let voted = self.vote_like(Request::PreVote(rpc.into()), &option);
        voted.await.map(Into::into)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let cancel = pin!(cancel);
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = self.send_snapshot(vote, snapshot) => sent.map_err(Into::into),
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let request = Request::Transfer(req.into());
        let response = self.ask(request, option.soft_ttl()).await?;
        let Response::Transfer(transferred) = response else {
            return Err(unexpected(&response));
        };
        Ok(transferred.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::types::{LeaderId, LogId};

    fn entry(bytes: usize) -> Entry {
        Entry {
            log_id: LogId {
                leader_id: LeaderId {
                    term: 1,
                    node_id: 1,
                },
                index: 1,
            },
            payload: EntryPayload::Normal(Blob::from(vec![0; bytes])),
        }
    }

    #[test]
    fn a_message_is_bounded_in_bytes_but_always_carries_an_entry() {
        assert_eq!(fitting(&[]), 0);
        assert_eq!(fitting(&[entry(MESSAGE_BYTES + 1), entry(1)]), 1);
        let half = MESSAGE_BYTES / 2;
        assert_eq!(fitting(&[entry(half), entry(half), entry(1)]), 2);
    }
}
