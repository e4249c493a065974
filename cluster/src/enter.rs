//! How a conductor comes to take part: as the member that it was, as a founder, or as a newcomer.
//!
//! Founders agree on a cluster only when all that are listed have shown each other the number that their data directory
//! drew ([`Founder::seat`]); the cluster's id is made of these numbers. So a founder that lost its disk draws another
//! number, is none of that cluster's founders, can neither found it again nor vote twice, and joins it under a new id.

use crate::codec::peer::{Card, Founder, Hello, Purpose, Request, Response, Welcome};
use crate::error::ClusterError;
use crate::handle::Cluster;
use crate::identity::KnownPeers;
use crate::options::{FOUNDING_ID_MAX, Listen, Options, Storage};
use crate::peer::server::{Answer, Caller, Server};
use crate::peer::transport::{Listener, Transport};
use crate::raft::types::{Member, RaftId};
use crate::start::{Door, assemble, open_door};
use crate::storage::{Newcomer, Vault};
use crate::stranger::{Seen, Stranger};
use baton_model::env::Env;
use baton_model::ids::{ConductorId, Incarnation};
use baton_model::port::BoxFuture;
use baton_model::port::cluster::ChangeSink;
use futures_util::future::join_all;
use openraft::async_runtime::watch::WatchReceiver;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Between two rounds of founders looking for each other.
const FOUNDERS_PAUSE: Duration = Duration::from_millis(200);

/// Rounds between two reports of who is missing: five seconds.
const REPORT_EVERY: u32 = 25;

/// Names the clusters that founders agree on.
const NAMESPACE: Uuid = Uuid::from_u128(0x6261_746f_6e00_4000_8000_636c_7573_7465);

/// The first members of a new cluster, as listed in the configuration of each of them.
#[derive(Clone, Debug)]
pub struct FirstMembers {
    /// This conductor.
    pub conductor: ConductorId,
    /// All of them, this one included: id and `host:port`.
    pub addresses: BTreeMap<ConductorId, String>,
}

/// How a conductor without an identity comes to one.
#[derive(Clone, Debug)]
pub struct Entry {
    /// As one of these founders; if the cluster stands already without it, as a newcomer through the others.
    pub first: Option<FirstMembers>,
    /// As a newcomer, through these members.
    pub via: Vec<String>,
    /// How long to ask for admission. A member of the same host name that died is down after a session's time.
    pub patience: Duration,
}

enum Verdict {
    Founded(Uuid, BTreeMap<RaftId, Founder>),
    Stands,
}

impl Cluster {
    /// Takes part: as the member that the storage says, or as `entry` tells.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn enter(
        mut options: Options,
        env: Env,
        sink: Arc<dyn ChangeSink>,
        entry: Entry,
    ) -> Result<Self, ClusterError> {
        let vault = Vault::lock(options.storage.clone()).await?;
        let stranger = Stranger::new(options.transport.clone(), &options.host_name);
        let known = vault.identity()?;
        let peers = vault.peers()?;
        let mut via = entry.via.clone();
        via.extend(
            peers
                .iter()
                .flat_map(|peers| peers.addresses.iter().cloned()),
        );
        if let Some(first) = &entry.first {
            let others = first
                .addresses
                .iter()
                .filter(|(id, _)| **id != first.conductor);
            via.extend(others.map(|(_, address)| address.clone()));
        }
        via.sort();
        via.dedup();

        // A listener that is open already would answer itself.
        let own = match &options.listen {
            Listen::Address(_) => options.advertise.clone(),
            Listen::Open(_) => None,
        };
        if let Some(identity) = &known {
            if identity.host_name != options.host_name {
                return Err(ClusterError::OtherHost {
                    conductor: identity.conductor,
                    made_for: identity.host_name.clone(),
                    configured: options.host_name,
                });
            }
            if let Some(address) = &own
                && let Ok(Seen::Member(standing)) = stranger.look(address, None).await
                && (standing.cluster, standing.conductor)
                    == (identity.cluster, identity.conductor.0)
            {
                return Err(ClusterError::Twice {
                    conductor: identity.conductor,
                    address: address.clone(),
                });
            }
        }

        let listen = std::mem::replace(&mut options.listen, Listen::Address(String::new()));
        let advertise = options.advertise.clone();
        let mut door = open_door(
            options.transport.as_ref(),
            listen,
            advertise,
            &options.host_name,
        )
        .await?;
        let member = door.member.clone();
        via.retain(|address| *address != member.address);
        let newcomer = if known.is_some() {
            None
        } else {
            let founded = match (&entry.first, &peers) {
                (Some(first), None) => {
                    let seat = vault.seat(&env)?;
                    let (verdict, listener) =
                        agree(options.transport.clone(), first, seat, &stranger, door).await?;
                    door = Door {
                        listener,
                        member: member.clone(),
                    };
                    verdict.map(|verdict| (first.conductor, verdict))
                }
                // Whoever was a member once founds nothing.
                (Some(_) | None, _) => None,
            };
            Some(match founded {
                Some((conductor, Verdict::Founded(cluster, founders))) => Newcomer {
                    cluster,
                    conductor,
                    founders,
                },
                Some((_, Verdict::Stands)) | None => {
                    let dir = directory(&options.storage);
                    newcomer(
                        &stranger,
                        &member,
                        &via,
                        peers.as_ref(),
                        dir,
                        entry.patience,
                    )
                    .await?
                }
            })
        };
        options.advertise = Some(member.address.clone());
        options.listen = Listen::Open(door.listener);
        let cluster = assemble(options, env, sink, vault, newcomer).await?;
        let admitted = cluster
            .be_admitted(&stranger, &member, &via, entry.patience)
            .await;
        stranger.close().await;
        match admitted {
            Ok(()) => Ok(cluster),
            Err(error) => {
                cluster.shutdown().await;
                Err(error)
            }
        }
    }

    /// Enters the cluster of which one of the conductors at `via` is a member, as a learner under a new id, and
    /// starts. A storage that has an identity already is started as it is.
    ///
    /// # Errors
    /// [`ClusterError::Refused`] if the cluster refuses, [`ClusterError::Unconfirmed`] if nobody answers.
    pub async fn join(
        options: Options,
        env: Env,
        sink: Arc<dyn ChangeSink>,
        via: &[String],
    ) -> Result<Self, ClusterError> {
        let entry = Entry {
            first: None,
            via: via.to_vec(),
            patience: Duration::from_secs(10),
        };
        Self::enter(options, env, sink, entry).await
    }

    /// Asks to be admitted, unless this member knows that it has been. Asking twice changes nothing.
    async fn be_admitted(
        &self,
        stranger: &Stranger,
        member: &Member,
        via: &[String],
        patience: Duration,
    ) -> Result<(), ClusterError> {
        let id = self.conductor().0;
        let alone = {
            let metrics = self.raft().metrics();
            let metrics = metrics.borrow_watched();
            metrics.membership_config.membership().nodes().count() == 0
        };
        if alone {
            stranger.join(id, member, via, patience).await?;
        }
        Ok(())
    }

    /// Becomes a member-to-be: reserves an id through `via` and writes it down. The next start asks for admission.
    ///
    /// # Errors
    /// [`ClusterError`]; the storage must be empty.
    pub async fn prepare(
        options: Options,
        env: Env,
        via: &[String],
        patience: Duration,
    ) -> Result<(Uuid, ConductorId), ClusterError> {
        let vault = Vault::lock(options.storage.clone()).await?;
        vault.check_empty()?;
        let Some(address) = options.advertise.clone() else {
            return Err(ClusterError::Options {
                detail: "the address by which peers reach this conductor is not known".to_owned(),
            });
        };
        let member = Member {
            host: options.host_name.clone(),
            address,
        };
        let stranger = Stranger::new(options.transport.clone(), &options.host_name);
        let reserved = stranger.reserve(&member, via, patience).await;
        stranger.close().await;
        let (cluster, conductor) = reserved?;
        vault.set_peers(&KnownPeers {
            cluster,
            addresses: via.to_vec(),
        })?;
        let newcomer = Newcomer {
            cluster,
            conductor,
            founders: BTreeMap::new(),
        };
        let opened = vault.open(Some(newcomer), options.host_name, env).await?;
        opened.close().await?;
        Ok((cluster, conductor))
    }

    /// Makes a new cluster of this conductor alone, and writes it down. The next start begins it.
    ///
    /// # Errors
    /// [`ClusterError`]; the storage must be empty.
    pub async fn init(options: Options, env: Env) -> Result<(Uuid, ConductorId), ClusterError> {
        let vault = Vault::lock(options.storage.clone()).await?;
        vault.check_empty()?;
        let Some(address) = options.advertise.clone() else {
            return Err(ClusterError::Options {
                detail: "the address by which peers reach this conductor is not known".to_owned(),
            });
        };
        let seat = vault.seat(&env)?;
        let conductor = ConductorId(1);
        let member = Member {
            host: options.host_name.clone(),
            address,
        };
        let founders = BTreeMap::from([(conductor.0, Founder { member, seat })]);
        let cluster = named_by(&founders);
        let newcomer = Newcomer {
            cluster,
            conductor,
            founders,
        };
        let opened = vault.open(Some(newcomer), options.host_name, env).await?;
        opened.close().await?;
        Ok((cluster, conductor))
    }
}

fn directory(storage: &Storage) -> &Path {
    match storage {
        Storage::Directory(dir) => dir,
        Storage::Memory(_) => Path::new("memory"),
    }
}

async fn newcomer(
    stranger: &Stranger,
    member: &Member,
    via: &[String],
    peers: Option<&KnownPeers>,
    dir: &Path,
    patience: Duration,
) -> Result<Newcomer, ClusterError> {
    if via.is_empty() {
        return Err(match peers {
            Some(peers) => ClusterError::Lost {
                dir: dir.to_owned(),
                cluster: peers.cluster,
            },
            None => ClusterError::NotAMember,
        });
    }
    tracing::info!(
        host = member.host,
        "this conductor has no identity; it asks for one"
    );
    let (cluster, conductor) = stranger.reserve(member, via, patience).await?;
    if let Some(peers) = peers
        && peers.cluster != cluster
    {
        return Err(ClusterError::OtherCluster {
            found: peers.cluster,
            wanted: cluster,
        });
    }
    tracing::info!(%cluster, %conductor, "this conductor joins as a new member");
    Ok(Newcomer {
        cluster,
        conductor,
        founders: BTreeMap::new(),
    })
}

/// The same founders with the same seats make the same cluster.
fn named_by(founders: &BTreeMap<RaftId, Founder>) -> Uuid {
    let names: Vec<String> = founders
        .iter()
        .map(|(id, founder)| format!("{id}:{:016x}", founder.seat))
        .collect();
    Uuid::new_v5(&NAMESPACE, names.join(",").as_bytes())
}

// --- Founders -----------------------------------------------------------------------------------------

/// Answers while no cluster stands: shows the card to whoever looks.
struct Porch(Card);

impl Answer for Porch {
    fn greet<'a>(&'a self, hello: &'a Hello) -> BoxFuture<'a, Welcome> {
        let welcome = if hello.purpose == Purpose::Join {
            Welcome::Accepted {
                conductor: 0,
                incarnation: Incarnation(0),
                life: 0,
                host: self.0.founder.member.host.clone(),
            }
        } else {
            Welcome::Refused {
                reason: "this conductor is a member of no cluster yet".to_owned(),
                twin: false,
            }
        };
        Box::pin(async move { welcome })
    }

    fn answer(&self, _: Caller, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            if let Request::Look(_) = request {
                Response::Card(self.0.clone())
            } else {
                Response::Failed("this conductor is a member of no cluster yet".to_owned())
            }
        })
    }
}

/// Waits until all founders are there and agrees with them, or finds that the cluster stands.
async fn agree(
    transport: Arc<dyn Transport>,
    first: &FirstMembers,
    seat: u64,
    stranger: &Stranger,
    door: Door,
) -> Result<(Option<Verdict>, Box<dyn Listener>), ClusterError> {
    check(first, &door.member)?;
    let list: Vec<String> = first
        .addresses
        .iter()
        .map(|(id, address)| format!("{id}@{address}"))
        .collect();
    let card = Card {
        conductor: first.conductor.0,
        founder: Founder {
            member: door.member,
            seat,
        },
        list: u64::from(crc32fast::hash(list.join(",").as_bytes())),
    };
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let server = Server {
        transport,
        answer: Arc::new(Porch(card.clone())),
        tasks: tasks.clone(),
        stop: stop.clone(),
    };
    // The server keeps the listener; it gives it back when it is stopped.
    let porch = tasks.spawn(server.run(door.listener));
    let mut rounds = 0_u32;
    let verdict = loop {
        match round(first, &card, stranger).await {
            Ok(verdict) => break verdict,
            Err(missing) => {
                if rounds.is_multiple_of(REPORT_EVERY) {
                    tracing::warn!(
                        missing,
                        "a new cluster is founded once all conductors in `cluster.peers` are there"
                    );
                }
            }
        }
        rounds = rounds.wrapping_add(1);
        tokio::time::sleep(FOUNDERS_PAUSE).await;
    };
    stop.cancel();
    let listener = porch.await.map_err(|error| ClusterError::Core {
        attempt: "answer its fellow founders",
        detail: error.to_string(),
    })?;
    tasks.close();
    tasks.wait().await;
    Ok((Some(verdict), listener))
}

/// Looks at everybody once. Without a verdict: who is missing, and why.
async fn round(first: &FirstMembers, card: &Card, stranger: &Stranger) -> Result<Verdict, String> {
    let others = first
        .addresses
        .iter()
        .filter(|(id, _)| **id != first.conductor);
    let looks = others.map(async |(id, address)| (id.0, stranger.look(address, Some(card)).await));
    let mut founders = BTreeMap::from([(card.conductor, card.founder.clone())]);
    let mut missing = Vec::new();
    let mut stands = false;
    for (id, seen) in join_all(looks).await {
        match seen {
            Ok(Seen::Member(standing)) => {
                if standing.founders.get(&card.conductor) == Some(&card.founder) {
                    return Ok(Verdict::Founded(standing.cluster, standing.founders));
                }
                tracing::info!(
                    cluster = %standing.cluster, conductor = standing.conductor,
                    "the cluster stands already and does not know this data directory"
                );
                stands = true;
            }
            Ok(Seen::Founder(other)) if other.conductor != id => missing.push(format!(
                "conductor {id}: the one at its address calls itself {}",
                other.conductor
            )),
            Ok(Seen::Founder(other)) if other.list != card.list => missing.push(format!(
                "conductor {id} ({}) has another `cluster.peers`; make them equal",
                other.founder.member.host
            )),
            Ok(Seen::Founder(other)) => {
                let same = founders
                    .values()
                    .find(|one| one.member.host == other.founder.member.host);
                if let Some(same) = same {
                    missing.push(format!(
                        "conductor {id} has the host name {} of another; give it its own in `[DEFAULT] host`",
                        same.member.host
                    ));
                }
                founders.insert(id, other.founder);
            }
            Err(reason) => missing.push(format!("conductor {id}: {reason}")),
        }
    }
    if stands {
        return Ok(Verdict::Stands);
    }
    if missing.is_empty() {
        return Ok(Verdict::Founded(named_by(&founders), founders));
    }
    Err(missing.join("; "))
}

fn check(first: &FirstMembers, me: &Member) -> Result<(), ClusterError> {
    let wrong = |detail: String| Err(ClusterError::Options { detail });
    if let Some(id) = first
        .addresses
        .keys()
        .find(|id| !(1..=FOUNDING_ID_MAX).contains(&id.0))
    {
        return wrong(format!(
            "a founding member's id must be from 1 to {FOUNDING_ID_MAX}, not {id}"
        ));
    }
    match first.addresses.get(&first.conductor) {
        None => wrong(format!(
            "`cluster.peers` does not list this conductor, whose `cluster.conductor_id` is {}",
            first.conductor
        )),
        Some(listed) if *listed != me.address => wrong(format!(
            "`cluster.peers` lists this conductor at {listed}, `cluster.advertise` (or `listen`) is {}",
            me.address
        )),
        Some(_) => Ok(()),
    }
}
