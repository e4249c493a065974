//! Splits large values into pieces that an engine may hold, and joins them again at load.
//!
//! sled puts any page above a quarter of its segment into a file of its own that it never syncs, so no value above
//! [`CHUNK_MAX`] may reach it. A stored key is the caller's key with two bytes of piece number behind it; the first
//! piece ends with the number of pieces. Whether the joined bytes are whole is told by the frame inside them.

use super::{Durability, Engine, Gauge, KvError, Op, Tree, Visit};
use std::collections::BTreeMap;

/// Largest piece, 64 KiB with its count. With 8 MiB segments sled's limit is about 120 KiB a value; half of it leaves room for keys.
pub const CHUNK_MAX: usize = (64 << 10) - 2;

/// Most pieces of one value: 16 MiB, the largest frame there is, and one for its header.
const CHUNKS_MAX: usize = 257;

/// An engine that takes values of any size up to 16 MiB.
pub struct Chunked<E> {
    engine: E,
    /// Keys whose value takes more than one piece, so that a shorter successor removes the rest. They are few.
    large: BTreeMap<(Tree, Vec<u8>), u16>,
}

impl<E: Engine> Chunked<E> {
    /// Wraps `engine`, which must hold only what a `Chunked` wrote. Load both trees before the first write.
    pub const fn new(engine: E) -> Self {
        Self {
            engine,
            large: BTreeMap::new(),
        }
    }

    fn expand(&mut self, op: Op, into: &mut Vec<Op>) -> Result<(), KvError> {
        match op {
            Op::Put {
                tree,
                key,
                mut value,
            } if value.len() <= CHUNK_MAX => {
                self.forget(tree, &key, 1, into);
                value.extend_from_slice(&1_u16.to_be_bytes());
                into.push(Op::Put {
                    tree,
                    key: numbered(key, 0),
                    value,
                });
            }
            Op::Put { tree, key, value } => {
                let count = value.len().div_ceil(CHUNK_MAX);
                if count > CHUNKS_MAX {
                    return Err(KvError::Rule {
                        detail: format!("a value of {} bytes is too large to store", value.len()),
                    });
                }
                let count = u16::try_from(count).unwrap_or(u16::MAX);
                self.forget(tree, &key, count, into);
                for (number, piece) in (0_u16..).zip(value.chunks(CHUNK_MAX)) {
                    let mut stored = piece.to_vec();
                    if number == 0 {
                        stored.extend_from_slice(&count.to_be_bytes());
                    }
                    into.push(Op::Put {
                        tree,
                        key: numbered(key.clone(), number),
                        value: stored,
                    });
                }
                self.large.insert((tree, key), count);
            }
            Op::Remove { tree, key } => {
                self.forget(tree, &key, 1, into);
                into.push(Op::Remove {
                    tree,
                    key: numbered(key, 0),
                });
            }
        }
        Ok(())
    }

    /// Removes the pieces from number `keep` on that an earlier, longer value left.
    fn forget(&mut self, tree: Tree, key: &[u8], keep: u16, into: &mut Vec<Op>) {
        if self.large.is_empty() {
            return;
        }
        if let Some(count) = self.large.remove(&(tree, key.to_vec())) {
            for number in keep..count {
                into.push(Op::Remove {
                    tree,
                    key: numbered(key.to_vec(), number),
                });
            }
        }
    }
}

fn numbered(mut key: Vec<u8>, number: u16) -> Vec<u8> {
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn damaged(what: &str) -> KvError {
    KvError::Damaged {
        detail: what.to_owned(),
    }
}

/// A value of several pieces while it is being joined.
struct Partial {
    count: u16,
    next: u16,
    value: Vec<u8>,
}

impl<E: Engine> Engine for Chunked<E> {
    fn load(&mut self, tree: Tree, visit: &mut Visit<'_>) -> Result<(), KvError> {
        let mut partial: BTreeMap<Vec<u8>, Partial> = BTreeMap::new();
        let large = &mut self.large;
        self.engine.load(tree, &mut |stored, piece| {
            let Some((key, number)) = stored.split_last_chunk::<2>() else {
                return Err(damaged("a key is too short to be ours"));
            };
            let number = u16::from_be_bytes(*number);
            if number == 0 {
                let Some((value, count)) = piece.split_last_chunk::<2>() else {
                    return Err(damaged("a value is too short to be ours"));
                };
                let count = u16::from_be_bytes(*count);
                if count <= 1 {
                    return visit(key, value);
                }
                partial.insert(
                    key.to_vec(),
                    Partial {
                        count,
                        next: 1,
                        value: value.to_vec(),
                    },
                );
                return Ok(());
            }
            let Some(whole) = partial.get_mut(key) else {
                return Err(damaged("a piece of a value has no beginning"));
            };
            if whole.next != number {
                return Err(damaged("a piece in the middle of a value is missing"));
            }
            whole.value.extend_from_slice(piece);
            whole.next = number.saturating_add(1);
            if whole.next == whole.count {
                large.insert((tree, key.to_vec()), whole.count);
                visit(key, &whole.value)?;
                partial.remove(key);
            }
            Ok(())
        })?;
        if partial.is_empty() {
            Ok(())
        } else {
            Err(damaged("the last piece of a value is missing"))
        }
    }

    fn write(&mut self, ops: Vec<Op>, durability: Durability) -> Result<(), KvError> {
        let mut expanded = Vec::with_capacity(ops.len());
        for op in ops {
            self.expand(op, &mut expanded)?;
        }
        self.engine.write(expanded, durability)
    }

    fn gauge(&self) -> Gauge {
        self.engine.gauge()
    }
}

#[cfg(test)]
mod tests {
    use super::super::mem::MemDisk;
    use super::*;

    fn put(key: &[u8], value: Vec<u8>) -> Op {
        Op::Put {
            tree: Tree::State,
            key: key.to_vec(),
            value,
        }
    }

    fn all(engine: &mut impl Engine) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut found = BTreeMap::new();
        engine
            .load(Tree::State, &mut |key, value| {
                found.insert(key.to_vec(), value.to_vec());
                Ok(())
            })
            .unwrap();
        found
    }

    #[test]
    fn a_value_of_any_size_comes_back_whole() {
        let disk = MemDisk::default();
        let mut store = Chunked::new(disk.attach());
        let values = [0, 1, CHUNK_MAX, CHUNK_MAX + 1, 5 * CHUNK_MAX + 7]
            .map(|size| (size.to_be_bytes().to_vec(), vec![0xA5; size]));
        for (key, value) in values.clone() {
            store
                .write(vec![put(&key, value)], Durability::Synced)
                .unwrap();
        }
        let mut again = Chunked::new(disk.attach());
        assert_eq!(all(&mut again), BTreeMap::from(values));
    }

    #[test]
    fn a_shorter_value_leaves_nothing_of_the_longer_one() {
        let disk = MemDisk::default();
        let mut store = Chunked::new(disk.attach());
        let steps = [5 * CHUNK_MAX, 2 * CHUNK_MAX, 3];
        for size in steps {
            store
                .write(vec![put(b"k", vec![1; size])], Durability::Synced)
                .unwrap();
        }
        let mut again = Chunked::new(disk.attach());
        assert_eq!(
            all(&mut again),
            BTreeMap::from([(b"k".to_vec(), vec![1; 3])])
        );
        again
            .write(vec![put(b"k", vec![2; 3 * CHUNK_MAX])], Durability::Synced)
            .unwrap();
        again
            .write(
                vec![Op::Remove {
                    tree: Tree::State,
                    key: b"k".to_vec(),
                }],
                Durability::Synced,
            )
            .unwrap();
        assert_eq!(all(&mut Chunked::new(disk.attach())), BTreeMap::new());
    }
}
