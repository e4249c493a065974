//! What operators do to a running cluster, from any member.

use crate::codec::peer::{MembershipChange, Request};
use crate::error::ClusterError;
use crate::handle::Cluster;
use crate::identity::LEFT;
use crate::raft::types::RaftId;
use baton_model::ids::ConductorId;
use baton_model::port::BoxFuture;
use baton_model::port::cluster::{BackupParts, ChangeError, Members};
use baton_model::state::ConductorStatus;
use openraft::async_runtime::watch::WatchReceiver;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a transfer of the leadership may take: some 16 ms, and an election if it goes wrong.
const TRANSFER_LIMIT: Duration = Duration::from_secs(5);

/// How long a leaving member asks to be removed.
const LEAVE_LIMIT: Duration = Duration::from_secs(10);

impl From<ClusterError> for ChangeError {
    fn from(error: ClusterError) -> Self {
        let text = error.to_string().into();
        match error {
            ClusterError::Refused { detail } => Self::Refused(detail.into()),
            ClusterError::DataDir(_)
            | ClusterError::Store { .. }
            | ClusterError::Damaged { .. }
            | ClusterError::NotAMember
            | ClusterError::Lost { .. }
            | ClusterError::OtherHost { .. }
            | ClusterError::Twice { .. }
            | ClusterError::NotEmpty { .. }
            | ClusterError::OtherCluster { .. }
            | ClusterError::Options { .. }
            | ClusterError::Listen { .. }
            | ClusterError::Core { .. }
            | ClusterError::Backup(_)
            | ClusterError::Unconfirmed { .. } => Self::Unavailable(text),
        }
    }
}

impl Cluster {
    fn member_ids(&self) -> Vec<RaftId> {
        let metrics = self.raft().metrics();
        let metrics = metrics.borrow_watched();
        let nodes = metrics.membership_config.membership().nodes();
        nodes.map(|(id, _)| *id).collect()
    }

    async fn remove_member(&self, id: ConductorId, force: bool) -> Result<(), ChangeError> {
        if !self.member_ids().contains(&id.0) {
            return Err(ChangeError::Refused(
                format!("conductor {id} is no member of the cluster").into(),
            ));
        }
        let lives = self
            .state()
            .read()
            .conductor(id)
            .is_some_and(|record| record.status != ConductorStatus::Down);
        if lives && !force {
            return Err(ChangeError::Refused(
                format!(
                    "conductor {id} is alive; let it go with `baton cluster leave` on its own machine, or force its removal"
                )
                .into(),
            ));
        }
        self.change_membership(MembershipChange::Remove(id.0))
            .await?;
        tracing::warn!(conductor = %id, force, "an operator removed a member");
        Ok(())
    }

    async fn move_leader(&self, to: Option<ConductorId>) -> Result<ConductorId, ChangeError> {
        if let Some(to) = to {
            self.transfer_leader(to).await?;
            return Ok(to);
        }
        let deadline = Instant::now() + TRANSFER_LIMIT;
        let before = self.leader();
        self.ask_leader(TRANSFER_LIMIT, &Request::HandOver(0))
            .await
            .map_err(ClusterError::from)?;
        let mut metrics = self.raft().metrics();
        let moved = async {
            loop {
                let leader = metrics.borrow_watched().current_leader.map(ConductorId);
                if let Some(leader) = leader
                    && Some(leader) != before
                {
                    return Some(leader);
                }
                metrics.changed().await.ok()?;
            }
        };
        timeout_at(deadline, moved)
            .await
            .ok()
            .flatten()
            .ok_or_else(|| ChangeError::Unavailable("no other conductor took over in time".into()))
    }

    /// Whether this conductor may leave for good.
    ///
    /// # Errors
    /// [`ChangeError::Refused`] if it is the only one.
    pub fn may_leave(&self) -> Result<(), ChangeError> {
        if self.member_ids().len() > 1 {
            return Ok(());
        }
        Err(ChangeError::Refused(
            "this is the only conductor; the cluster would be gone. Stop it instead, and keep its data directory".into(),
        ))
    }

    /// Leaves for good, stops, and moves the data aside; where it is now, unless it was in memory. The conductor has
    /// ended its life before.
    ///
    /// # Errors
    /// [`ClusterError`] if the others did not let it go in time; it has stopped all the same.
    pub async fn leave(&self) -> Result<Option<PathBuf>, ClusterError> {
        if self.leader() == Some(self.conductor())
            && let Err(error) = self.move_leader(None).await
        {
            tracing::info!(%error, "leaving as the leader without a successor");
        }
        let request = Request::Membership(MembershipChange::Remove(self.conductor().0));
        let removed = self.ask_leader(LEAVE_LIMIT, &request).await;
        self.shutdown().await;
        removed?;
        let inner = self.inner();
        Ok(inner.held.set_aside(LEFT, &inner.env)?)
    }
}

impl Members for Cluster {
    fn remove(&self, id: ConductorId, force: bool) -> BoxFuture<'_, Result<(), ChangeError>> {
        Box::pin(self.remove_member(id, force))
    }

    fn transfer_leader(
        &self,
        to: Option<ConductorId>,
    ) -> BoxFuture<'_, Result<ConductorId, ChangeError>> {
        Box::pin(self.move_leader(to))
    }

    fn backup(&self, stale: bool) -> BoxFuture<'_, Result<BackupParts, ChangeError>> {
        Box::pin(async move {
            if !stale && let Err(error) = self.linearizable().await {
                return Err(ChangeError::Unavailable(
                    format!(
                        "{error}; what this conductor knows may be old, and can be had with --stale"
                    )
                    .into(),
                ));
            }
            let backup = self.take_backup().await?;
            Ok(Box::new(backup) as BackupParts)
        })
    }
}
