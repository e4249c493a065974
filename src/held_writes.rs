//! A place to pause a conductor for tests: between the last look at the lease and the packet.
//!
//! While the file named by the hidden option `--hold-writes` exists, no power command is handed to the BMC client: it
//! waits, says so in `<file>.reached`, and goes on once the file is gone. So a test stops the whole process exactly there,
//! has its nodes taken over, and lets it go on. What became of such a command is added to `<file>.ended`.

use baton_model::driver::BmcTarget;
use baton_model::json::Json;
use baton_model::node::intent::BmcSession;
use baton_model::port::BoxFuture;
use baton_model::port::bmc::{Bmc, BmcError, BmcIdentity, PowerAction, PowerRead};
use baton_model::port::chore::Chore;
use baton_model::port::inquiry::{Disclosure, Inquiry};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often the file is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// BMCs whose power commands can be held back.
pub(crate) struct HeldWrites {
    inner: Arc<dyn Bmc>,
    file: PathBuf,
}

impl HeldWrites {
    pub(crate) const fn new(inner: Arc<dyn Bmc>, file: PathBuf) -> Self {
        Self { inner, file }
    }
}

fn note(file: &Path, suffix: &str, line: &str) {
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(beside(file, suffix))
        .and_then(|mut file| writeln!(file, "{line}"));
    if let Err(error) = written {
        tracing::error!(%error, "could not write beside the file of --hold-writes");
    }
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

impl Bmc for HeldWrites {
    fn power_state<'a>(
        &'a self,
        target: &'a BmcTarget,
        budget: Duration,
    ) -> BoxFuture<'a, Result<PowerRead, BmcError>> {
        self.inner.power_state(target, budget)
    }

    fn power_action<'a>(
        &'a self,
        target: &'a BmcTarget,
        action: PowerAction,
        session: &'a BmcSession,
        budget: Duration,
    ) -> BoxFuture<'a, Result<(), BmcError>> {
        Box::pin(async move {
            if !self.file.exists() {
                return self
                    .inner
                    .power_action(target, action, session, budget)
                    .await;
            }
            // In a task of its own, so that it goes on to its end even when its caller has given it up.
            let (inner, file) = (self.inner.clone(), self.file.clone());
            let (target, session) = (target.clone(), session.clone());
            let held = tokio::runtime::Handle::current().spawn(async move {
                note(&file, ".reached", &format!("{action} in {session}"));
                while file.exists() {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                let result = inner.power_action(&target, action, &session, budget).await;
                note(
                    &file,
                    ".ended",
                    &format!("{action} in {session}: {result:?}"),
                );
                result
            });
            held.await.unwrap_or_else(|error| {
                Err(BmcError::Unreachable {
                    bmc: "held back".into(),
                    reason: error.to_string().into(),
                })
            })
        })
    }

    fn chore<'a>(
        &'a self,
        target: &'a BmcTarget,
        chore: Chore,
        cargo: &'a Json,
        session: &'a BmcSession,
        budget: Duration,
    ) -> BoxFuture<'a, Result<(), BmcError>> {
        self.inner.chore(target, chore, cargo, session, budget)
    }

    fn ask<'a>(
        &'a self,
        target: &'a BmcTarget,
        inquiry: Inquiry,
        budget: Duration,
    ) -> BoxFuture<'a, Result<Disclosure, BmcError>> {
        self.inner.ask(target, inquiry, budget)
    }

    fn end_session<'a>(
        &'a self,
        target: &'a BmcTarget,
        session: &'a BmcSession,
        budget: Duration,
    ) -> BoxFuture<'a, Result<(), BmcError>> {
        self.inner.end_session(target, session, budget)
    }

    fn identify<'a>(
        &'a self,
        target: &'a BmcTarget,
        budget: Duration,
    ) -> BoxFuture<'a, Result<BmcIdentity, BmcError>> {
        self.inner.identify(target, budget)
    }

    fn forget<'a>(&'a self, target: &'a BmcTarget) -> BoxFuture<'a, ()> {
        self.inner.forget(target)
    }

    fn close<'a>(&'a self, budget: Duration) -> BoxFuture<'a, ()> {
        self.inner.close(budget)
    }
}
