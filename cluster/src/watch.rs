//! A watched value whose waiters wake in the order in which they began to wait.
//!
//! tokio's own spreads waiters over eight lists by a random draw that nobody can seed in a stable build. So two runs of
//! one simulation would wake the replication tasks of a leader, or proposers that wait for one entry, in different
//! orders, and nothing after that would be the same. It was the only draw of lots below a conductor (ADR 11).

use openraft_rt::watch::{RecvError, SendError, Watch, WatchReceiver, WatchSender};
use openraft_rt::{OptionalSend, OptionalSync};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use tokio::sync::Notify;

struct Shared<T> {
    value: RwLock<T>,
    /// Counts the changes that receivers are told of.
    version: AtomicU64,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    waiting: Notify,
}

impl<T> Shared<T> {
    fn read(&self) -> Ref<'_, T> {
        Ref(self.value.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn is_closed(&self) -> bool {
        self.senders.load(Ordering::Acquire) == 0
    }
}

/// A look at the value. Keep it short and never across an await: the sender waits for it.
pub struct Ref<'a, T>(RwLockReadGuard<'a, T>);

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Changes the value. Clones change the same one.
pub struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// A value that nobody watches yet.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(Arc::new(Shared {
            value: RwLock::new(value),
            version: AtomicU64::new(0),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(0),
            waiting: Notify::new(),
        }))
    }

    /// A receiver that has seen the present value.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        self.0.receivers.fetch_add(1, Ordering::AcqRel);
        Receiver {
            shared: self.0.clone(),
            seen: self.0.version(),
        }
    }

    /// Looks at the value.
    #[must_use]
    pub fn borrow(&self) -> Ref<'_, T> {
        self.0.read()
    }

    /// Changes the value and wakes who waits.
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// Replaces the value and wakes who waits; the old value.
    pub fn send_replace(&self, mut value: T) -> T {
        self.send_modify(|current| std::mem::swap(current, &mut value));
        value
    }

    /// Changes the value, and wakes who waits if `modify` says so.
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        {
            let mut value = self.0.value.write().unwrap_or_else(PoisonError::into_inner);
            if !modify(&mut value) {
                return false;
            }
            // Under the lock, so that whoever sees the new version sees the new value.
            self.0.version.fetch_add(1, Ordering::AcqRel);
        }
        self.0.waiting.notify_waiters();
        true
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::AcqRel);
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.waiting.notify_waiters();
        }
    }
}

/// Watches the value. Each clone remembers for itself what it has seen.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

impl<T> Receiver<T> {
    /// Looks at the value; it stays unseen.
    #[must_use]
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.read()
    }

    /// Looks at the value, which counts as seen from now on.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let value = self.shared.read();
        self.seen = self.shared.version();
        value
    }

    /// Waits until the value is another than the one last seen.
    ///
    /// # Errors
    /// If every sender is gone and nothing is unseen.
    pub async fn changed(&mut self) -> Result<(), RecvError> {
        loop {
            // Told of every change from here on, even before it is polled.
            let told = self.shared.waiting.notified();
            let version = self.shared.version();
            if version != self.seen {
                self.seen = version;
                return Ok(());
            }
            if self.shared.is_closed() {
                return Err(RecvError(()));
            }
            told.await;
        }
    }

    /// Waits until `done` holds of the value, which counts as seen from then on; the newest value.
    ///
    /// # Errors
    /// If every sender is gone before.
    pub async fn wait_for(
        &mut self,
        mut done: impl FnMut(&T) -> bool,
    ) -> Result<Ref<'_, T>, RecvError> {
        while !done(&*self.borrow_and_update()) {
            self.changed().await?;
        }
        Ok(self.borrow())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.receivers.fetch_add(1, Ordering::AcqRel);
        Self {
            shared: self.shared.clone(),
            seen: self.seen,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receivers.fetch_sub(1, Ordering::AcqRel);
    }
}

/// This module, as the consensus core's choice of watched values.
pub struct InOrder;

impl Watch for InOrder {
    type Sender<T: OptionalSend + OptionalSync> = Sender<T>;
    type Receiver<T: OptionalSend + OptionalSync> = Receiver<T>;
    type Ref<'a, T: OptionalSend + 'a> = Ref<'a, T>;

    fn channel<T: OptionalSend + OptionalSync>(init: T) -> (Self::Sender<T>, Self::Receiver<T>) {
        let sender = Sender::new(init);
        let receiver = sender.subscribe();
        (sender, receiver)
    }
}

impl<T: OptionalSend + OptionalSync> WatchSender<InOrder, T> for Sender<T> {
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.0.receivers.load(Ordering::Acquire) == 0 {
            return Err(SendError(value));
        }
        self.send_replace(value);
        Ok(())
    }

    fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        Self::send_if_modified(self, modify)
    }

    fn borrow_watched(&self) -> Ref<'_, T> {
        self.borrow()
    }

    fn subscribe(&self) -> Receiver<T> {
        Self::subscribe(self)
    }
}

impl<T: OptionalSend + OptionalSync> WatchReceiver<InOrder, T> for Receiver<T> {
    async fn changed(&mut self) -> Result<(), RecvError> {
        Self::changed(self).await
    }

    fn borrow_watched(&self) -> Ref<'_, T> {
        self.borrow()
    }

    fn borrow_and_update(&mut self) -> Ref<'_, T> {
        Self::borrow_and_update(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[tokio::test]
    async fn waiters_wake_in_the_order_in_which_they_began_to_wait() {
        let sender = Sender::new(0);
        let woken = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for number in 0..40 {
            let (mut receiver, woken) = (sender.subscribe(), woken.clone());
            tasks.push(tokio::spawn(async move {
                receiver.changed().await.unwrap();
                woken.lock().unwrap().push(number);
            }));
        }
        // This task is polled again only after all of these, which are fewer than the 61 of one round of the scheduler.
        tokio::task::yield_now().await;
        sender.send_replace(1);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*woken.lock().unwrap(), (0..40).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_silent_change_wakes_nobody_and_is_seen_with_the_next_one() {
        let sender = Sender::new(0);
        let mut receiver = sender.subscribe();
        sender.send_if_modified(|value| {
            *value = 7;
            false
        });
        {
            let waiting = receiver.changed();
            tokio::pin!(waiting);
            let early = tokio::time::timeout(std::time::Duration::ZERO, &mut waiting).await;
            assert!(early.is_err(), "nobody was to be woken");
            sender.send_modify(|_| {});
            waiting.await.unwrap();
        }
        assert_eq!(*receiver.borrow(), 7);
    }

    #[tokio::test]
    async fn a_change_between_look_and_wait_is_not_missed() {
        let sender = Sender::new(0);
        let mut receiver = sender.subscribe();
        assert_eq!(*receiver.borrow_and_update(), 0);
        sender.send_replace(1);
        receiver.changed().await.unwrap();
        receiver.wait_for(|value| *value == 1).await.unwrap();
    }

    #[tokio::test]
    async fn the_last_value_is_seen_before_the_end_is() {
        let sender = Sender::new(0);
        let mut receiver = sender.subscribe();
        let other = sender.clone();
        drop(sender);
        other.send_replace(1);
        drop(other);
        assert!(receiver.changed().await.is_ok());
        assert!(receiver.changed().await.is_err());
        assert!(receiver.wait_for(|value| *value == 2).await.is_err());
    }

    #[test]
    fn sending_without_a_receiver_fails_as_the_core_expects() {
        let sender = Sender::new(0);
        assert!(WatchSender::<InOrder, _>::send(&sender, 1).is_err());
        let receiver = sender.subscribe();
        assert!(WatchSender::<InOrder, _>::send(&sender, 2).is_ok());
        assert_eq!(*receiver.borrow(), 2);
    }
}
