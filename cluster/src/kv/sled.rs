//! The engine on sled 0.34.7, under the rules that make it safe. Each was found necessary by cutting the power.
//!
//! - `flush()` writes but does not fsync on Linux, so a second handle on the data file is synced after each flush.
//! - Pages above a quarter of a segment become files that nothing syncs, so segments are 8 MiB, values are capped at
//!   64 KiB by [`super::Chunked`], and the directory of such files must stay empty.
//! - The segment size is fixed for the life of a store; it is written beside it and checked before opening.
//! - Opening a damaged store may fail or panic; both mean damage. A batch is atomic within one tree only.
//! - Nothing else flushes: sled's own timer is off and the one writer thread decides.
//! - A log-structured store takes a damaged or cut tail for writes that never happened. So every synced write carries
//!   a count, and the newest count known to be durable is noted in a file beside the store, without a sync of its
//!   own: a store that opens with a lower count has lost acknowledged writes.

use super::{Durability, Engine, Gauge, KvError, Op, Tree, Visit};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Sixteen times the default: a page, and with it a value, may then be 2 MiB before sled stops syncing it.
const SEGMENT_SIZE: usize = 8 << 20;

/// Measured: 56 to 70 MiB of resident memory in engine-only runs. The live data is in our own memory anyway.
const CACHE_BYTES: u64 = 64 << 20;

/// How many syncs pass between two looks at the directory that must stay empty. About a minute under light load.
const BLOB_CHECK_EVERY: u32 = if cfg!(debug_assertions) { 1 } else { 1024 };

/// The unit of `st_blocks`, whatever the file system's own is (`stat(2)`).
const BLOCK: u64 = 512;

/// Attempts to take sled's lock: ten seconds, many times what its threads need to end.
const LOCK_ATTEMPTS: u32 = 500;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// What the `FORMAT` file of a store says.
const FORMAT: &str = "baton-store 1\nengine sled 0.34\nsegment_size 8388608\n";
const FORMAT_FILE: &str = "FORMAT";
const BLOBS: &str = "blobs";
/// Holds the count of the newest write known to be durable, and its checksum.
const MARK_FILE: &str = "MARK";
const COUNT_KEY: &[u8] = b"count";

/// Largest stored value: a piece and its count.
const VALUE_MAX: usize = super::chunk::CHUNK_MAX + 2;

/// A store in a directory.
pub struct SledEngine {
    dir: PathBuf,
    db: ::sled::Db,
    log: ::sled::Tree,
    state: ::sled::Tree,
    count_tree: ::sled::Tree,
    /// Synced writes so far.
    count: u64,
    mark: File,
    /// Our own handle on sled's data file, for the fsync that sled leaves out.
    file: File,
    until_blob_check: u32,
}

fn failed(attempt: &'static str) -> impl FnOnce(io::Error) -> KvError {
    move |source| KvError::Io { attempt, source }
}

fn from_sled(attempt: &'static str) -> impl FnOnce(::sled::Error) -> KvError {
    move |error| match error {
        ::sled::Error::Io(source) => failed(attempt)(source),
        ::sled::Error::Corruption { .. } => KvError::Damaged {
            detail: format!("could not {attempt}: a page fails its checksum"),
        },
        ::sled::Error::CollectionNotFound(_)
        | ::sled::Error::Unsupported(_)
        | ::sled::Error::ReportableBug(_) => KvError::Damaged {
            detail: format!("could not {attempt}: {error}"),
        },
    }
}

impl SledEngine {
    /// Opens the store in `dir`, creating it if the directory is empty or not there.
    ///
    /// # Errors
    /// [`KvError::Damaged`] if what is there cannot be opened, [`KvError::Busy`] if another process has it.
    pub fn open(dir: &Path) -> Result<Self, KvError> {
        prepare(dir)?;
        // A store that this process closed a moment ago is still held by sled's own threads. Another process is kept
        // out by the lock on the data directory, so waiting here never waits for one.
        for _ in 1..LOCK_ATTEMPTS {
            match Self::open_once(dir) {
                Err(KvError::Busy) => std::thread::park_timeout(LOCK_PAUSE),
                outcome @ (Ok(_) | Err(_)) => return outcome,
            }
        }
        Self::open_once(dir)
    }

    fn open_once(dir: &Path) -> Result<Self, KvError> {
        let opened = catch_unwind(AssertUnwindSafe(|| open_trees(dir)));
        let (db, log, state, count_tree) = match opened {
            Ok(Ok(trees)) => trees,
            // sled waits for no lock and reports it as one more I/O error, in words only.
            Ok(Err(::sled::Error::Io(error))) if error.to_string().contains("lock") => {
                return Err(KvError::Busy);
            }
            // A torn or truncated file shows up as an I/O error too, such as an unexpected end.
            Ok(Err(error)) => {
                return Err(KvError::Damaged {
                    detail: format!("it does not open: {error}"),
                });
            }
            Err(panic) => {
                return Err(KvError::Damaged {
                    detail: format!("it does not open: {}", panic_text(panic.as_ref())),
                });
            }
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(dir.join("db"))
            .map_err(failed("open its data file"))?;
        let mark = OpenOptions::new()
            .read(true)
            .write(true)
            .open(dir.join(MARK_FILE))
            .map_err(failed("open its MARK file"))?;
        let mut engine = Self {
            dir: dir.to_owned(),
            db,
            log,
            state,
            count_tree,
            count: 0,
            mark,
            file,
            until_blob_check: 0,
        };
        engine.check_mark()?;
        engine.sync()?;
        sync_dir(dir)?;
        if let Some(parent) = dir.parent() {
            sync_dir(parent)?;
        }
        Ok(engine)
    }

    const fn tree(&self, tree: Tree) -> &::sled::Tree {
        match tree {
            Tree::Log => &self.log,
            Tree::State => &self.state,
        }
    }

    /// Takes up the count, and compares it with the one that was noted.
    fn check_mark(&mut self) -> Result<(), KvError> {
        let stored = guarded(|| self.count_tree.get(COUNT_KEY).map_err(from_sled("read")))?;
        self.count = match stored {
            None => 0,
            Some(bytes) => <[u8; 8]>::try_from(&*bytes)
                .map(u64::from_be_bytes)
                .map_err(|_| KvError::Damaged {
                    detail: "its count of writes is unreadable".to_owned(),
                })?,
        };
        let mut noted = [0; 12];
        let read = self.mark.read_exact_at(&mut noted, 0);
        let [a, b, c, d, e, f, g, h, crc @ ..] = noted;
        let count = [a, b, c, d, e, f, g, h];
        if read.is_err() || crc != crc32fast::hash(&count).to_be_bytes() {
            return Err(KvError::Damaged {
                detail: format!("its {MARK_FILE} file is unreadable"),
            });
        }
        let noted = u64::from_be_bytes(count);
        if self.count < noted {
            return Err(KvError::Damaged {
                detail: format!(
                    "it holds {} synced writes, {noted} were made: its newest writes are lost",
                    self.count
                ),
            });
        }
        Ok(())
    }

    /// Makes everything written so far durable.
    fn sync(&mut self) -> Result<(), KvError> {
        self.count += 1;
        self.count_tree
            .insert(COUNT_KEY, &self.count.to_be_bytes())
            .map_err(from_sled("count a write"))?;
        self.db.flush().map_err(from_sled("flush"))?;
        self.file
            .sync_data()
            .map_err(failed("sync its data file"))?;
        self.mark
            .write_all_at(&mark(self.count), 0)
            .map_err(failed("write its MARK file"))?;
        if self.until_blob_check == 0 {
            self.until_blob_check = BLOB_CHECK_EVERY;
            self.assert_no_blobs()?;
        }
        self.until_blob_check -= 1;
        Ok(())
    }

    fn assert_no_blobs(&self) -> Result<(), KvError> {
        let mut blobs = match fs::read_dir(self.dir.join(BLOBS)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed("list its directory of large pages")(error)),
        };
        if blobs.next().is_some() {
            return Err(KvError::Rule {
                detail: "a page became too large to be synced; its directory of large pages is not empty"
                    .to_owned(),
            });
        }
        Ok(())
    }

    fn write_inner(&mut self, ops: Vec<Op>, durability: Durability) -> Result<(), KvError> {
        let mut batches = [::sled::Batch::default(), ::sled::Batch::default()];
        let mut used = [false, false];
        for op in ops {
            let (tree, place) = match &op {
                Op::Put { tree, .. } | Op::Remove { tree, .. } => match tree {
                    Tree::Log => (*tree, 0),
                    Tree::State => (*tree, 1),
                },
            };
            used[place] = true;
            match op {
                Op::Put { key, value, .. } => {
                    if value.len() > VALUE_MAX {
                        return Err(KvError::Rule {
                            detail: format!(
                                "a value of {} bytes in the {tree:?} tree",
                                value.len()
                            ),
                        });
                    }
                    batches[place].insert(key, value);
                }
                Op::Remove { key, .. } => batches[place].remove(key),
            }
        }
        // The log first: the state on disk is never ahead of the log that it came from.
        for ((tree, batch), used) in [Tree::Log, Tree::State].into_iter().zip(batches).zip(used) {
            if used {
                self.tree(tree)
                    .apply_batch(batch)
                    .map_err(from_sled("write a batch"))?;
            }
        }
        match durability {
            Durability::Synced => self.sync(),
            Durability::Buffered => Ok(()),
        }
    }
}

/// The content of the mark file.
fn mark(count: u64) -> [u8; 12] {
    let count = count.to_be_bytes();
    let mut content = [0; 12];
    content[..8].copy_from_slice(&count);
    content[8..].copy_from_slice(&crc32fast::hash(&count).to_be_bytes());
    content
}

type Trees = (::sled::Db, ::sled::Tree, ::sled::Tree, ::sled::Tree);

fn open_trees(dir: &Path) -> Result<Trees, ::sled::Error> {
    let db = ::sled::Config::default()
        .path(dir)
        .mode(::sled::Mode::HighThroughput)
        .cache_capacity(CACHE_BYTES)
        .segment_size(SEGMENT_SIZE)
        .flush_every_ms(None)
        .open()?;
    let log = db.open_tree("log")?;
    let state = db.open_tree("state")?;
    let count = db.open_tree("count")?;
    Ok((db, log, state, count))
}

/// Makes sure that `dir` exists and is of the format that this code reads.
fn prepare(dir: &Path) -> Result<(), KvError> {
    fs::create_dir_all(dir).map_err(failed("create its directory"))?;
    let path = dir.join(FORMAT_FILE);
    match fs::read_to_string(&path) {
        Ok(text) if text == FORMAT => Ok(()),
        Ok(text) => Err(KvError::Damaged {
            detail: format!(
                "its {FORMAT_FILE} file says `{}`",
                text.escape_debug().take(80).collect::<String>()
            ),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if dir.join("db").exists() {
                return Err(KvError::Damaged {
                    detail: format!("its {FORMAT_FILE} file is missing"),
                });
            }
            // The format comes last: a directory that has one is complete.
            File::create(dir.join(MARK_FILE))
                .and_then(|mut file| file.write_all(&mark(0)).and_then(|()| file.sync_all()))
                .map_err(failed("create its MARK file"))?;
            let mut file = File::create(&path).map_err(failed("create its FORMAT file"))?;
            file.write_all(FORMAT.as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(failed("write its FORMAT file"))?;
            sync_dir(dir)
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(KvError::Damaged {
            detail: format!("its {FORMAT_FILE} file is no text"),
        }),
        Err(error) => Err(failed("read its FORMAT file")(error)),
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), KvError> {
    // The parent of a relative name of one part is the empty path, which means here.
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(failed("sync a directory"))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("the engine panicked")
}

/// sled also panics on damage that it meets late; that must reach the caller as damage.
fn guarded<T>(attempt: impl FnOnce() -> Result<T, KvError>) -> Result<T, KvError> {
    catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|panic| {
        Err(KvError::Damaged {
            detail: panic_text(panic.as_ref()).to_owned(),
        })
    })
}

/// A store that is closed notes its last count for good.
impl Drop for SledEngine {
    fn drop(&mut self) {
        // If this fails the mark is older, which weakens the check and breaks nothing.
        self.mark.sync_data().ok();
    }
}

impl Engine for SledEngine {
    fn load(&mut self, tree: Tree, visit: &mut Visit<'_>) -> Result<(), KvError> {
        let tree = self.tree(tree).clone();
        guarded(move || {
            for pair in &tree {
                let (key, value) = pair.map_err(from_sled("read"))?;
                visit(&key, &value)?;
            }
            Ok(())
        })
    }

    fn write(&mut self, ops: Vec<Op>, durability: Durability) -> Result<(), KvError> {
        guarded(|| self.write_inner(ops, durability))
    }

    fn gauge(&self) -> Gauge {
        let dir = self.dir.clone();
        // A segment's room is claimed before it is written, so the length of a file says nothing.
        Arc::new(move || {
            fs::read_dir(&dir)
                .into_iter()
                .flatten()
                .filter_map(Result::ok)
                .filter_map(|entry| entry.metadata().ok())
                .map(|metadata| metadata.blocks() * BLOCK)
                .sum()
        })
    }
}
