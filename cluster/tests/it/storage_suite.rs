//! openraft's own conformance suite over both engines.

use crate::support::Counts;
use baton_cluster::kv::Engine;
use baton_cluster::kv::mem::MemDisk;
use baton_cluster::kv::sled::SledEngine;
use baton_cluster::kv::writer::{FatalSender, Opening};
use baton_cluster::raft::log_store::{self, LogStore};
use baton_cluster::raft::state_machine::{self, StateMachine};
use baton_cluster::raft::types::{Runtime, TypeConfig};
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use std::sync::Arc;
use tempfile::TempDir;

fn build(engine: Box<dyn Engine>, inline: bool) -> (LogStore, StateMachine) {
    let mut opening = Opening::new(engine);
    let log = log_store::load(&mut opening).unwrap();
    let state = state_machine::load(&mut opening).unwrap();
    let store = if inline {
        opening.inline(FatalSender::new())
    } else {
        opening.start(FatalSender::new()).unwrap()
    };
    let machine = StateMachine::new(state, store.clone(), Arc::new(Counts::default()));
    (LogStore::new(log, store), machine)
}

struct OnSled;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for OnSled {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let engine = SledEngine::open(&dir.path().join("store")).unwrap();
        let (log, machine) = build(Box::new(engine), false);
        Ok((dir, log, machine))
    }
}

struct InMemory {
    inline: bool,
}

impl StoreBuilder<TypeConfig, LogStore, StateMachine, ()> for InMemory {
    async fn build(&self) -> Result<((), LogStore, StateMachine), StorageError<TypeConfig>> {
        let (log, machine) = build(Box::new(MemDisk::default().attach()), self.inline);
        Ok(((), log, machine))
    }
}

async fn seeded<F: Future>(test: F) -> F::Output {
    Runtime::scope(7, test).await
}

#[tokio::test]
async fn sled_passes_openrafts_storage_suite() {
    seeded(Suite::test_all(OnSled)).await.unwrap();
}

#[tokio::test]
async fn memory_passes_openrafts_storage_suite() {
    seeded(Suite::test_all(InMemory { inline: false }))
        .await
        .unwrap();
}

#[tokio::test]
async fn memory_without_a_thread_passes_openrafts_storage_suite() {
    seeded(Suite::test_all(InMemory { inline: true }))
        .await
        .unwrap();
}
