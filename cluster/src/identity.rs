//! Who this conductor is, as written in its data directory, and the lock that keeps a second process out of it.
//!
//! ```text
//! <data>/LOCK          held while a process runs
//! <data>/member.json   cluster, conductor, host name, count of starts, anchor of the store
//! <data>/seat.json     the number that this directory drew before a cluster was founded
//! <data>/peers.json    the cluster and where its members were last found; outlives a damaged store
//! <data>/store/        log and state
//! <data>/damaged-…/    a store that was found damaged, with the identity that went with it
//! ```
//! The one invariant: an identity without its store, or a store that is not the one it was made with, never votes.
//! Its vote may be lost, and it could vote twice. Both are set aside, and the conductor joins again as a new member.

use crate::codec::peer::Founder;
use crate::kv::sled::sync_dir;
use crate::raft::types::RaftId;
use baton_model::ids::{ConductorId, Incarnation, WallMs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

/// The format of `member.json`.
const FORMAT: u32 = 1;

/// Attempts to take the lock: half a second, for a predecessor that is just ending.
const LOCK_ATTEMPTS: u32 = 25;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

const LOCK_FILE: &str = "LOCK";
const IDENTITY_FILE: &str = "member.json";
const STORE_DIR: &str = "store";
const SEAT_FILE: &str = "seat.json";
const PEERS_FILE: &str = "peers.json";

/// The word for data of a conductor that left its cluster.
pub const LEFT: &str = "left";

/// The content of `member.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// [`FORMAT`] when written.
    pub format: u32,
    /// The cluster.
    pub cluster: Uuid,
    /// This conductor. Never given to another, nor to this one again after its disk was lost.
    pub conductor: ConductorId,
    /// The host name it was made with.
    pub host_name: String,
    /// How often it was started.
    pub incarnation: Incarnation,
    /// Found again in the store, or it is not the same store.
    pub anchor: u64,
    /// Who founded the cluster, if this conductor was among them and they agreed on it among themselves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub founders: BTreeMap<RaftId, Founder>,
}

/// The cluster that a data directory belonged to, and where its members were last found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownPeers {
    /// The cluster.
    pub cluster: Uuid,
    /// `host:port` of every other member.
    pub addresses: Vec<String>,
}

impl Identity {
    /// A new identity, not yet started.
    #[must_use]
    pub fn new(cluster: Uuid, conductor: ConductorId, host_name: &str, anchor: u64) -> Self {
        Self {
            format: FORMAT,
            cluster,
            conductor,
            host_name: host_name.to_owned(),
            incarnation: Incarnation(0),
            anchor,
            founders: BTreeMap::new(),
        }
    }
}

/// What is wrong with a data directory.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Another process runs on it.
    #[error(
        "the data directory {} is in use by another process; stop it, or give this conductor a directory of its own",
        dir.display()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The system refused.
    #[error("could not {attempt} in the data directory {}", dir.display())]
    Io {
        /// What was being done.
        attempt: &'static str,
        /// The directory.
        dir: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The file is not one of ours.
    #[error("{} is unreadable: {detail}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
}

/// A data directory, locked for this process.
#[derive(Debug)]
pub struct DataDir {
    dir: PathBuf,
    /// Closing it releases the lock, even when the process is killed.
    _lock: File,
}

impl DataDir {
    /// Creates the directory if need be and takes its lock.
    ///
    /// # Errors
    /// [`IdentityError::InUse`] if another process has it.
    pub fn lock(dir: &Path) -> Result<Self, IdentityError> {
        let failed = |attempt| {
            move |source| IdentityError::Io {
                attempt,
                dir: dir.to_owned(),
                source,
            }
        };
        fs::create_dir_all(dir).map_err(failed("create a directory"))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join(LOCK_FILE))
            .map_err(failed("open the lock file"))?;
        let mut taken = lock.try_lock();
        for _ in 1..LOCK_ATTEMPTS {
            if !matches!(taken, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::park_timeout(LOCK_PAUSE);
            taken = lock.try_lock();
        }
        match taken {
            Ok(()) => Ok(Self {
                dir: dir.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(IdentityError::InUse {
                dir: dir.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(failed("take the lock")(source)),
        }
    }

    /// Where the store is.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.dir.join(STORE_DIR)
    }

    fn io(&self, attempt: &'static str) -> impl FnOnce(io::Error) -> IdentityError + '_ {
        move |source| IdentityError::Io {
            attempt,
            dir: self.dir.clone(),
            source,
        }
    }

    /// The identity, if the directory has one.
    ///
    /// # Errors
    /// [`IdentityError::Unreadable`] if the file is not ours or damaged.
    pub fn read(&self) -> Result<Option<Identity>, IdentityError> {
        let path = self.dir.join(IDENTITY_FILE);
        let found: Option<Identity> = self.read_json(IDENTITY_FILE, "read member.json")?;
        let Some(identity) = found else {
            return Ok(None);
        };
        if identity.format == FORMAT {
            Ok(Some(identity))
        } else {
            Err(IdentityError::Unreadable {
                path,
                detail: format!(
                    "it has format {}, this baton reads format {FORMAT}",
                    identity.format
                ),
            })
        }
    }

    /// Writes the identity: durable, and whole or not at all.
    ///
    /// # Errors
    /// [`IdentityError::Io`].
    pub fn write(&self, identity: &Identity) -> Result<(), IdentityError> {
        self.write_json(IDENTITY_FILE, "write member.json", identity)
    }

    fn write_json(
        &self,
        name: &str,
        attempt: &'static str,
        value: &impl Serialize,
    ) -> Result<(), IdentityError> {
        let text = serde_json::to_vec_pretty(value)
            .map_err(|error| self.io(attempt)(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        let draft = self.dir.join(format!("{name}.new"));
        let mut file = File::create(&draft).map_err(self.io(attempt))?;
        file.write_all(&text)
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&draft, self.dir.join(name)))
            .map_err(self.io(attempt))?;
        self.sync()
    }

    /// The number that tells this directory from one that takes its place; `draw` makes one the first time.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn seat(&self, draw: impl FnOnce() -> u64) -> Result<u64, IdentityError> {
        if let Some(seat) = self.read_json(SEAT_FILE, "read seat.json")? {
            return Ok(seat);
        }
        let seat = draw();
        self.write_json(SEAT_FILE, "write seat.json", &seat)?;
        Ok(seat)
    }

    /// Where the members of this directory's cluster were last found.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn peers(&self) -> Result<Option<KnownPeers>, IdentityError> {
        self.read_json(PEERS_FILE, "read peers.json")
    }

    /// Notes where the members are.
    ///
    /// # Errors
    /// [`IdentityError::Io`].
    pub fn set_peers(&self, peers: &KnownPeers) -> Result<(), IdentityError> {
        self.write_json(PEERS_FILE, "write peers.json", peers)
    }

    fn read_json<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
        attempt: &'static str,
    ) -> Result<Option<T>, IdentityError> {
        let path = self.dir.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io(attempt)(error)),
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| IdentityError::Unreadable {
                path,
                detail: error.to_string(),
            })
    }

    fn sync(&self) -> Result<(), IdentityError> {
        sync_dir(&self.dir).map_err(|error| self.io("sync")(io::Error::other(error)))
    }

    /// Whether anything is where the store should be.
    #[must_use]
    pub fn has_store(&self) -> bool {
        self.store().exists()
    }

    /// Moves the store and its identity aside, together, and returns where they are now; `word` says why. Nothing is
    /// deleted.
    ///
    /// # Errors
    /// [`IdentityError::Io`].
    pub fn set_aside(&self, word: &str, now: WallMs) -> Result<PathBuf, IdentityError> {
        let aside = (0_u32..)
            .map(|n| match n {
                0 => self.dir.join(format!("{word}-{now}")),
                n => self.dir.join(format!("{word}-{now}-{n}")),
            })
            .find(|path| !path.exists())
            .unwrap_or_else(|| self.dir.join(word));
        fs::create_dir(&aside).map_err(self.io("create a directory"))?;
        // Where the others are is worth knowing after damage, and nothing to a conductor that left.
        let also = (word == LEFT).then_some(PEERS_FILE);
        for name in [IDENTITY_FILE, STORE_DIR, SEAT_FILE]
            .into_iter()
            .chain(also)
        {
            match fs::rename(self.dir.join(name), aside.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.io("move a store aside")(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        self.sync()?;
        Ok(aside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_on_a_data_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::lock(dir.path()).unwrap();
        let error = DataDir::lock(dir.path()).unwrap_err();
        assert!(matches!(error, IdentityError::InUse { .. }));
        drop(first);
        DataDir::lock(dir.path()).unwrap();
    }

    #[test]
    fn an_identity_is_read_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::lock(dir.path()).unwrap();
        assert_eq!(data.read().unwrap(), None);
        let identity = Identity::new(Uuid::from_u128(7), ConductorId(3), "c3", 99);
        data.write(&identity).unwrap();
        assert_eq!(data.read().unwrap(), Some(identity));
    }

    #[test]
    fn a_store_set_aside_takes_its_identity_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::lock(dir.path()).unwrap();
        let identity = Identity::new(Uuid::from_u128(7), ConductorId(3), "c3", 99);
        for _ in 0..2 {
            data.write(&identity).unwrap();
            fs::create_dir(data.store()).unwrap();
            let aside = data.set_aside("damaged", WallMs(5)).unwrap();
            assert!(aside.join("store").exists() && aside.join("member.json").exists());
            assert_eq!(data.read().unwrap(), None);
            assert!(!data.has_store());
        }
    }

    #[test]
    fn a_seat_is_drawn_once_and_anew_in_a_new_directory() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::lock(dir.path()).unwrap();
        assert_eq!(data.seat(|| 5).unwrap(), 5);
        assert_eq!(data.seat(|| 6).unwrap(), 5);
        data.set_aside("damaged", WallMs(5)).unwrap();
        assert_eq!(data.seat(|| 7).unwrap(), 7);
    }

    #[test]
    fn a_damaged_identity_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::lock(dir.path()).unwrap();
        fs::write(dir.path().join("member.json"), "{").unwrap();
        assert!(data.read().unwrap_err().to_string().contains("member.json"));
    }
}
