//! Slots of a table in order of their last use, as a doubly linked list over indices: touch, remove and "oldest" cost
//! the same however many there are.

/// No slot.
const NIL: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Node {
    newer: u32,
    older: u32,
    listed: bool,
}

/// The list. Slots are small integers; memory grows with the largest one.
pub(super) struct Lru {
    nodes: Vec<Node>,
    newest: u32,
    oldest: u32,
    length: usize,
}

impl Lru {
    pub(super) const fn new() -> Self {
        Self {
            nodes: Vec::new(),
            newest: NIL,
            oldest: NIL,
            length: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.length
    }

    /// The slot that was touched longest ago.
    pub(super) const fn oldest(&self) -> Option<u32> {
        if self.oldest == NIL {
            None
        } else {
            Some(self.oldest)
        }
    }

    /// Makes `slot` the newest.
    pub(super) fn touch(&mut self, slot: u32) {
        self.remove(slot);
        let at = slot as usize;
        if self.nodes.len() <= at {
            self.nodes.resize(
                at + 1,
                Node {
                    newer: NIL,
                    older: NIL,
                    listed: false,
                },
            );
        }
        self.nodes[at] = Node {
            newer: NIL,
            older: self.newest,
            listed: true,
        };
        match self.newest {
            NIL => self.oldest = slot,
            before => self.nodes[before as usize].newer = slot,
        }
        self.newest = slot;
        self.length += 1;
    }

    /// Takes `slot` out if it is listed.
    pub(super) fn remove(&mut self, slot: u32) {
        let Some(node) = self.nodes.get_mut(slot as usize) else {
            return;
        };
        if !node.listed {
            return;
        }
        node.listed = false;
        let Node { newer, older, .. } = *node;
        match newer {
            NIL => self.newest = older,
            newer => self.nodes[newer as usize].older = older,
        }
        match older {
            NIL => self.oldest = newer,
            older => self.nodes[older as usize].newer = newer,
        }
        self.length -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_is_who_was_touched_longest_ago() {
        let mut lru = Lru::new();
        for slot in [3, 1, 2, 3] {
            lru.touch(slot);
        }
        assert_eq!(lru.len(), 3);
        let mut order = Vec::new();
        while let Some(slot) = lru.oldest() {
            lru.remove(slot);
            lru.remove(slot);
            order.push(slot);
        }
        assert_eq!(order, [1, 2, 3]);
        assert_eq!(lru.len(), 0);
        lru.touch(0);
        assert_eq!(lru.oldest(), Some(0));
    }
}
