//! Opens a member's storage: lock, identity, store, in the order in which a crash at any point leaves a storage that
//! either has no identity or is complete.

use crate::backup::Base;
use crate::codec::peer::Founder;
use crate::error::ClusterError;
use crate::identity::{DataDir, Identity, IdentityError, KnownPeers};
use crate::kv::mem::MemDisk;
use crate::kv::sled::SledEngine;
use crate::kv::writer::{FatalSender, Opening};
use crate::kv::{Engine, KvError, Store};
use crate::options::Storage;
use crate::raft::types::{Membership, RaftId, StoredMembership};
use crate::raft::{log_store, state_machine};
use baton_model::env::Env;
use baton_model::ids::ConductorId;
use std::collections::BTreeMap;
use std::path::PathBuf;
use uuid::Uuid;

/// Who a storage without identity becomes.
#[derive(Clone, Debug)]
pub(crate) struct Newcomer {
    pub(crate) cluster: Uuid,
    pub(crate) conductor: ConductorId,
    /// See [`Identity::founders`].
    pub(crate) founders: BTreeMap<RaftId, Founder>,
}

/// A storage that is this process's alone.
pub(crate) enum Vault {
    Directory(DataDir),
    Memory(MemDisk),
}

/// A storage that has been read.
pub(crate) struct Opened {
    pub(crate) identity: Identity,
    pub(crate) log: log_store::LoadedLog,
    pub(crate) state: state_machine::LoadedState,
    opening: Opening,
    vault: Vault,
}

/// Keeps the data directory locked while the member runs.
#[derive(Default)]
pub(crate) struct Held(Option<DataDir>);

impl Held {
    /// Notes where the members are, for a start without a store.
    pub(crate) fn note_peers(&self, peers: &KnownPeers) -> Result<(), IdentityError> {
        self.0.as_ref().map_or(Ok(()), |data| data.set_peers(peers))
    }

    /// Whether nothing is kept on a disk, so that noting takes no time.
    pub(crate) const fn is_in_memory(&self) -> bool {
        self.0.is_none()
    }

    /// Moves store and identity aside; the member has ended for good.
    pub(crate) fn set_aside(
        &self,
        word: &str,
        env: &Env,
    ) -> Result<Option<PathBuf>, IdentityError> {
        let aside = |data: &DataDir| data.set_aside(word, env.clock.wall());
        self.0.as_ref().map(aside).transpose()
    }
}

impl Vault {
    pub(crate) async fn lock(storage: Storage) -> Result<Self, ClusterError> {
        match storage {
            Storage::Directory(dir) => {
                let data = blocking(move || DataDir::lock(&dir).map_err(Into::into)).await?;
                Ok(Self::Directory(data))
            }
            Storage::Memory(disk) => Ok(Self::Memory(disk)),
        }
    }

    pub(crate) fn identity(&self) -> Result<Option<Identity>, IdentityError> {
        match self {
            Self::Directory(data) => data.read(),
            Self::Memory(disk) => Ok(disk.identity()),
        }
    }

    /// See [`DataDir::seat`]. A storage in memory has none to keep: what was not founded is forgotten.
    pub(crate) fn seat(&self, env: &Env) -> Result<u64, IdentityError> {
        match self {
            Self::Directory(data) => data.seat(|| env.entropy.next_u64()),
            Self::Memory(_) => Ok(env.entropy.next_u64()),
        }
    }

    pub(crate) fn peers(&self) -> Result<Option<KnownPeers>, IdentityError> {
        match self {
            Self::Directory(data) => data.peers(),
            Self::Memory(_) => Ok(None),
        }
    }

    pub(crate) fn set_peers(&self, peers: &KnownPeers) -> Result<(), IdentityError> {
        match self {
            Self::Directory(data) => data.set_peers(peers),
            Self::Memory(_) => Ok(()),
        }
    }

    /// Refuses a storage that belongs to somebody, or did.
    pub(crate) fn check_empty(&self) -> Result<(), ClusterError> {
        match self.identity()? {
            Some(identity) => Err(ClusterError::NotEmpty {
                dir: self.dir(),
                conductor: identity.conductor,
                cluster: identity.cluster,
            }),
            None => Ok(()),
        }
    }

    fn set_identity(&self, identity: &Identity) -> Result<(), IdentityError> {
        match self {
            Self::Directory(data) => data.write(identity),
            Self::Memory(disk) => {
                disk.set_identity(Some(identity.clone()));
                Ok(())
            }
        }
    }

    /// Makes a store that holds `base` already, for a member that has not started yet.
    pub(crate) async fn make(
        self,
        newcomer: Newcomer,
        base: Base,
        host_name: String,
        env: Env,
    ) -> Result<(), ClusterError> {
        blocking(move || {
            let (mut opening, _, _) = self.read(None).map_err(|error| self.failed(error, &env))?;
            let written = write_base(&mut opening, &base).and_then(|()| {
                let anchor = env.entropy.next_u64();
                log_store::write_anchor(&mut opening, anchor)?;
                Ok(anchor)
            });
            let anchor = written.map_err(|error| self.failed(error, &env))?;
            // The identity comes last: a store without one was not finished and is moved aside.
            self.set_identity(&Identity::new(
                newcomer.cluster,
                newcomer.conductor,
                &host_name,
                anchor,
            ))?;
            Ok(())
        })
        .await
    }

    /// Reads everything and counts this start. `newcomer` is who a storage without identity becomes.
    pub(crate) async fn open(
        self,
        newcomer: Option<Newcomer>,
        host_name: String,
        env: Env,
    ) -> Result<Opened, ClusterError> {
        if matches!(self, Self::Memory(_)) {
            self.open_now(newcomer, &host_name, &env)
        } else {
            blocking(move || self.open_now(newcomer, &host_name, &env)).await
        }
    }

    fn open_now(
        self,
        newcomer: Option<Newcomer>,
        host_name: &str,
        env: &Env,
    ) -> Result<Opened, ClusterError> {
        let known = self.identity()?;
        if let Self::Directory(data) = &self {
            if known.is_some() && !data.has_store() {
                let missing = KvError::Damaged {
                    detail: "it is missing, though this conductor has an identity".to_owned(),
                };
                return Err(self.failed(missing, env));
            }
            if known.is_none() && data.has_store() {
                let moved_to = data.set_aside("damaged", env.clock.wall())?;
                tracing::warn!(
                    moved_to = %moved_to.display(),
                    "found a store without an identity and moved it aside"
                );
            }
        }
        if known.is_none() && newcomer.is_none() {
            return Err(ClusterError::NotAMember);
        }
        match self.read(known.as_ref()) {
            Ok((opening, log, state)) => {
                self.identify(known, newcomer, host_name, env, opening, log, state)
            }
            Err(error) => Err(self.failed(error, env)),
        }
    }

    fn read(
        &self,
        known: Option<&Identity>,
    ) -> Result<(Opening, log_store::LoadedLog, state_machine::LoadedState), KvError> {
        let engine: Box<dyn Engine> = match self {
            Self::Directory(data) => Box::new(SledEngine::open(&data.store())?),
            Self::Memory(disk) => Box::new(disk.attach()),
        };
        let mut opening = Opening::new(engine);
        let log = log_store::load(&mut opening)?;
        let state = state_machine::load(&mut opening)?;
        if let Some(identity) = known
            && log.anchor != Some(identity.anchor)
        {
            return Err(KvError::Damaged {
                detail: "it is not the store that this conductor's identity was made with"
                    .to_owned(),
            });
        }
        Ok((opening, log, state))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the pieces of one opened storage"
    )]
    fn identify(
        self,
        known: Option<Identity>,
        newcomer: Option<Newcomer>,
        host_name: &str,
        env: &Env,
        mut opening: Opening,
        log: log_store::LoadedLog,
        state: state_machine::LoadedState,
    ) -> Result<Opened, ClusterError> {
        let mut identity = match (known, newcomer) {
            (Some(known), _) => known,
            (None, Some(newcomer)) => {
                let anchor = env.entropy.next_u64();
                log_store::write_anchor(&mut opening, anchor)
                    .map_err(|error| self.failed(error, env))?;
                Identity {
                    founders: newcomer.founders,
                    ..Identity::new(newcomer.cluster, newcomer.conductor, host_name, anchor)
                }
            }
            (None, None) => return Err(ClusterError::NotAMember),
        };
        identity.incarnation = identity.incarnation.next();
        self.set_identity(&identity)?;
        Ok(Opened {
            identity,
            log,
            state,
            opening,
            vault: self,
        })
    }

    fn dir(&self) -> PathBuf {
        match self {
            Self::Directory(data) => data.store(),
            Self::Memory(_) => PathBuf::from("memory"),
        }
    }

    /// Damage moves the store aside; anything else leaves it where it is.
    fn failed(&self, error: KvError, env: &Env) -> ClusterError {
        let dir = self.dir();
        match (self, error) {
            (Self::Directory(data), KvError::Damaged { detail }) => {
                match data.set_aside("damaged", env.clock.wall()) {
                    Ok(moved_to) => ClusterError::Damaged {
                        dir,
                        detail,
                        moved_to,
                    },
                    Err(error) => error.into(),
                }
            }
            (Self::Memory(disk), KvError::Damaged { detail }) => {
                disk.set_identity(None);
                ClusterError::Damaged {
                    moved_to: dir.clone(),
                    dir,
                    detail,
                }
            }
            (_, source) => ClusterError::Store { dir, source },
        }
    }
}

fn write_base(opening: &mut Opening, base: &Base) -> Result<(), KvError> {
    let voters = base.members.keys().copied().collect();
    let membership =
        Membership::new(vec![voters], base.members.clone()).map_err(|error| KvError::Rule {
            detail: error.to_string(),
        })?;
    let membership = StoredMembership::new(Some(base.last_applied), membership);
    let states = state_machine::first_ops(&base.state, base.last_applied, membership);
    for batch in states.map_err(log_store::unreadable)? {
        opening.clean(batch)?;
    }
    opening.clean(log_store::first_ops(base.last_applied).map_err(log_store::unreadable)?)
}

impl Opened {
    /// Closes a storage that was only prepared.
    pub(crate) async fn close(self) -> Result<(), ClusterError> {
        let (store, _, _, held) = self.start(FatalSender::new())?;
        store.close().await;
        drop(held);
        Ok(())
    }

    /// Starts the writer.
    pub(crate) fn start(
        self,
        fatal: FatalSender,
    ) -> Result<
        (
            Store,
            log_store::LoadedLog,
            state_machine::LoadedState,
            Held,
        ),
        ClusterError,
    > {
        let dir = self.vault.dir();
        let (store, held) = match self.vault {
            Vault::Directory(data) => {
                let store = self
                    .opening
                    .start(fatal)
                    .map_err(|source| ClusterError::Store {
                        dir,
                        source: KvError::Io {
                            attempt: "start its writer thread",
                            source,
                        },
                    })?;
                (store, Held(Some(data)))
            }
            Vault::Memory(_) => (self.opening.inline(fatal), Held(None)),
        };
        Ok((store, self.log, self.state, held))
    }
}

/// File work off the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClusterError> + Send + 'static,
) -> Result<T, ClusterError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(ClusterError::Core {
                attempt: "open its storage",
                detail: error.to_string(),
            })
        })
}
