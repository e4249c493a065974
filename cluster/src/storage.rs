//! Opens a member's storage: lock, identity, store, in the order in which a crash at any point leaves a storage that
//! either has no identity or is complete.

use crate::error::ClusterError;
use crate::identity::{DataDir, Identity, IdentityError};
use crate::kv::mem::MemDisk;
use crate::kv::sled::SledEngine;
use crate::kv::writer::{FatalSender, Opening};
use crate::kv::{Engine, KvError, Store};
use crate::options::Storage;
use crate::raft::{log_store, state_machine};
use baton_model::env::Env;
use baton_model::ids::ConductorId;
use std::path::PathBuf;
use uuid::Uuid;

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
pub(crate) struct Held(#[expect(dead_code, reason = "held for its lock")] Option<DataDir>);

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

    fn set_identity(&self, identity: &Identity) -> Result<(), IdentityError> {
        match self {
            Self::Directory(data) => data.write(identity),
            Self::Memory(disk) => {
                disk.set_identity(Some(identity.clone()));
                Ok(())
            }
        }
    }

    /// Reads everything and counts this start. `newcomer` is who a storage without identity becomes.
    pub(crate) async fn open(
        self,
        newcomer: Option<(Uuid, ConductorId)>,
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
        newcomer: Option<(Uuid, ConductorId)>,
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
                let moved_to = data.set_aside(env.clock.wall())?;
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
        newcomer: Option<(Uuid, ConductorId)>,
        host_name: &str,
        env: &Env,
        mut opening: Opening,
        log: log_store::LoadedLog,
        state: state_machine::LoadedState,
    ) -> Result<Opened, ClusterError> {
        let mut identity = match (known, newcomer) {
            (Some(known), _) => known,
            (None, Some((cluster, conductor))) => {
                let anchor = env.entropy.next_u64();
                log_store::write_anchor(&mut opening, anchor)
                    .map_err(|error| self.failed(error, env))?;
                Identity::new(cluster, conductor, host_name, anchor)
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
                match data.set_aside(env.clock.wall()) {
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

impl Opened {
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
async fn blocking<T: Send + 'static>(
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
