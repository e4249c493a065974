//! What starting and changing a cluster can fail with.

use crate::backup::BackupError;
use crate::identity::IdentityError;
use crate::kv::KvError;
use baton_model::ids::ConductorId;
use std::io;
use std::path::PathBuf;
use uuid::Uuid;

/// Why a member could not be started, or a change of the cluster not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The data directory is in use, unreadable, or refused by the system.
    #[error(transparent)]
    DataDir(#[from] IdentityError),
    /// The store cannot be opened, for a reason that may pass.
    #[error("the store in {} cannot be opened", dir.display())]
    Store {
        /// Where it is.
        dir: PathBuf,
        /// Why.
        #[source]
        source: KvError,
    },
    /// The store was damaged, swapped or lost. It and the identity have been moved aside; nothing was deleted.
    #[error(
        "the store in {} was damaged ({detail}) and was moved to {}. If other conductors are alive: remove this conductor's old membership with `baton cluster remove`, then start it with `baton cluster join`; it returns as a new member and is rebuilt from its peers. If it was the only one: restore a backup with `baton cluster restore`",
        dir.display(),
        moved_to.display()
    )]
    Damaged {
        /// Where it was.
        dir: PathBuf,
        /// What was noticed.
        detail: String,
        /// Where it is now.
        moved_to: PathBuf,
    },
    /// The storage holds no identity and none was given.
    #[error(
        "this conductor is a member of no cluster; make a new one with `baton cluster init` or enter one with `baton cluster join`"
    )]
    NotAMember,
    /// The data directory belonged to a cluster, its store is gone, and nobody else is known there.
    #[error(
        "the data directory {} belonged to cluster {cluster} and has lost its store, and no other member is known; restore a backup with `baton cluster restore`, or, to begin anew without the old records, empty the directory",
        dir.display()
    )]
    Lost {
        /// The directory.
        dir: PathBuf,
        /// The cluster.
        cluster: Uuid,
    },
    /// The data directory was made for another host name.
    #[error(
        "the data directory belongs to conductor {conductor} with host name {made_for}, `[DEFAULT] host` is {configured}; give it its old name back, or remove it with `baton cluster leave` and let it join under the new one"
    )]
    OtherHost {
        /// Whose directory it is.
        conductor: ConductorId,
        /// The name in the directory.
        made_for: String,
        /// The name in the options.
        configured: String,
    },
    /// Another process is this conductor.
    #[error(
        "conductor {conductor} of this cluster runs already and answers at {address}; this is a second process on a copy of its data directory: stop it, and let it join with an empty directory and a host name of its own"
    )]
    Twice {
        /// Which.
        conductor: ConductorId,
        /// Where the other one answers.
        address: String,
    },
    /// The storage has an identity already.
    #[error(
        "the data directory {} is not empty: it belongs to conductor {conductor} of cluster {cluster}; name an empty one",
        dir.display()
    )]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
        /// Who.
        conductor: ConductorId,
        /// Of which cluster.
        cluster: Uuid,
    },
    /// The storage belongs to another cluster than the one to be founded.
    #[error(
        "this conductor's data belongs to cluster {found}, not to {wanted}; give it an empty data directory"
    )]
    OtherCluster {
        /// The one in the storage.
        found: Uuid,
        /// The one in the options.
        wanted: Uuid,
    },
    /// The options contradict each other.
    #[error("the cluster options are wrong: {detail}")]
    Options {
        /// What contradicts what.
        detail: String,
    },
    /// The listening address cannot be used.
    #[error("could not listen for peers on {address}")]
    Listen {
        /// The address.
        address: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The consensus core refused or failed.
    #[error("the consensus core could not {attempt}: {detail}")]
    Core {
        /// What was being done.
        attempt: &'static str,
        /// Its words.
        detail: String,
    },
    /// The cluster refused a change of its membership.
    #[error("the cluster refused the change: {detail}")]
    Refused {
        /// Its words.
        detail: String,
    },
    /// A backup cannot be restored.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// No leader took the change in time; it may or may not have been made. `baton cluster status` shows.
    #[error("the cluster did not confirm the change in time: {detail}")]
    Unconfirmed {
        /// The last thing tried.
        detail: String,
    },
}
