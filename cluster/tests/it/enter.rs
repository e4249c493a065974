//! How conductors come to take part: founders that look for each other, newcomers, and those that lost their disk.

use crate::support::*;
use baton_cluster::{
    Cluster, ClusterError, Entry, FirstMembers, Listen, MembershipChange, Options, Storage, Upkeep,
};
use baton_model::command::{Command, ConductorUp, Session};
use baton_model::ids::ConductorId;
use baton_model::port::cluster::{ClusterStatus, MemberRole};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A session so short that a death is noticed within the test.
const SHORT: Duration = Duration::from_millis(400);

/// Conductors that found a cluster by looking for each other.
struct Rack {
    root: PathBuf,
    first: BTreeMap<ConductorId, String>,
    starts: u64,
}

impl Rack {
    async fn new(root: &Path, n: u64) -> Self {
        let mut first = BTreeMap::new();
        for id in 1..=n {
            let (listen, address) = listener().await;
            drop(listen);
            first.insert(ConductorId(id), address);
        }
        Self {
            root: root.to_owned(),
            first,
            starts: 0,
        }
    }

    fn options(&self, id: u64, address: &str) -> Options {
        let storage = Storage::Directory(self.root.join(format!("c{id}")));
        let listen = Listen::Address(address.to_owned());
        let mut options = options(&format!("c{id}"), storage, listen);
        options.advertise = Some(address.to_owned());
        options.sessions.ttl = SHORT;
        options
    }

    /// Starts founder `id`.
    async fn start(&mut self, id: u64) -> Result<Cluster, ClusterError> {
        let entry = Entry {
            first: Some(FirstMembers {
                conductor: ConductorId(id),
                addresses: self.first.clone(),
            }),
            via: Vec::new(),
            patience: Duration::from_secs(20),
        };
        let options = self.options(id, &self.first[&ConductorId(id)]);
        self.starts += 1;
        enter(options, self.starts, entry).await
    }

    async fn start_all(&mut self) -> BTreeMap<u64, Cluster> {
        let mut starting = tokio::task::JoinSet::new();
        for id in self.first.keys().map(|id| id.0) {
            let entry = Entry {
                first: Some(FirstMembers {
                    conductor: ConductorId(id),
                    addresses: self.first.clone(),
                }),
                via: Vec::new(),
                patience: DEADLINE,
            };
            let options = self.options(id, &self.first[&ConductorId(id)]);
            self.starts += 1;
            let seed = self.starts;
            starting.spawn(async move { (id, enter(options, seed, entry).await) });
        }
        let mut running = BTreeMap::new();
        while let Some(started) = starting.join_next().await {
            let (id, cluster) = started.unwrap();
            running.insert(id, cluster.unwrap());
        }
        running
    }

    /// Starts a conductor that is none of the founders, through them.
    async fn join(&mut self, id: u64, patience: Duration) -> Result<Cluster, ClusterError> {
        let (listen, address) = listener().await;
        drop(listen);
        let entry = Entry {
            first: None,
            via: self.first.values().cloned().collect(),
            patience,
        };
        self.starts += 1;
        enter(self.options(id, &address), self.starts, entry).await
    }
}

async fn enter(options: Options, seed: u64, entry: Entry) -> Result<Cluster, ClusterError> {
    let cluster = Cluster::enter(options, env(seed), Arc::new(Counts::default()), entry).await?;
    cluster.keep_members(Upkeep {
        voter_lost_after: Duration::from_secs(2),
    });
    Ok(cluster)
}

/// Begins the conductor's session, as its actor does.
async fn begin(cluster: &Cluster) {
    let up = Command::ConductorUp(ConductorUp {
        session: Session {
            conductor: cluster.conductor(),
            incarnation: cluster.incarnation(),
        },
        host: cluster.host_name().into(),
        group: "".into(),
        rack: "".into(),
        drivers: Vec::new(),
    });
    cluster.propose(up).await.unwrap();
}

fn voters(cluster: &Cluster) -> Vec<u64> {
    let report = cluster.report();
    let votes = report
        .members
        .iter()
        .filter(|member| member.role != MemberRole::Learner);
    votes.map(|member| member.id.0).collect()
}

async fn stop_all(running: BTreeMap<u64, Cluster>) {
    for cluster in running.values() {
        cluster.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn founders_wait_for_each_other_and_one_that_lost_its_disk_returns_as_a_newcomer() {
    let dir = tempfile::tempdir().unwrap();
    let mut rack = Rack::new(dir.path(), 3).await;
    // Two of three found nothing.
    let mut lonely = Rack::new(&dir.path().join("lonely"), 2).await;
    let alone = tokio::time::timeout(Duration::from_millis(600), lonely.start(1)).await;
    assert!(alone.is_err(), "a founder alone founded a cluster of two");

    let mut running = rack.start_all().await;
    let cluster = running[&1].cluster_id();
    assert!(running.values().all(|one| one.cluster_id() == cluster));
    running[&1].propose(node(1)).await.unwrap();
    begin(&running[&3]).await;
    let old = running[&3].conductor();
    assert_eq!(old, ConductorId(3));

    // Its disk is lost. While its session lives, and nobody may take its name; then it makes room.
    running.remove(&3).unwrap().shutdown().await;
    std::fs::remove_dir_all(dir.path().join("c3")).unwrap();
    let returned = rack.start(3).await.unwrap();
    assert_eq!(returned.cluster_id(), cluster);
    assert!(returned.conductor().0 > 16, "it came back under its old id");
    returned.linearizable().await.unwrap();
    assert!(has_node(&returned, 1));
    let id = returned.conductor().0;
    running.insert(3, returned);
    // It gets the vote of its predecessor, which is gone.
    eventually("the newcomer votes", || {
        (voters(&running[&1]) == [1, 2, id]).then_some(())
    })
    .await;
    eventually("the old record is forgotten", || {
        let state = running[&1].state();
        let gone = state.read().conductor(old).is_none();
        gone.then_some(())
    })
    .await;
    // A restart is no second admission.
    running.remove(&3).unwrap().shutdown().await;
    let again = rack.start(3).await.unwrap();
    assert_eq!(again.conductor().0, id);
    running.insert(3, again);
    stop_all(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_that_dies_on_its_way_in_leaves_nothing_and_may_try_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut rack = Rack::new(dir.path(), 1).await;
    let mut running = rack.start_all().await;
    let via: Vec<String> = rack.first.values().cloned().collect();
    let (listen, address) = listener().await;
    drop(listen);
    // It reserves an id, and its disk is gone before it comes.
    let prepared = Cluster::prepare(
        rack.options(7, &address),
        env(70),
        &via,
        Duration::from_secs(20),
    )
    .await
    .unwrap();
    assert_eq!(running[&1].report().members.len(), 1);
    let occupied = Cluster::prepare(rack.options(7, &address), env(71), &via, Duration::ZERO).await;
    assert!(matches!(occupied, Err(ClusterError::NotEmpty { .. })));
    std::fs::remove_dir_all(dir.path().join("c7")).unwrap();
    let (cluster, id) = Cluster::prepare(
        rack.options(7, &address),
        env(72),
        &via,
        Duration::from_secs(20),
    )
    .await
    .unwrap();
    assert_eq!(cluster, prepared.0);
    assert!(id > prepared.1, "an id was given twice");
    // It is admitted, and dies before it has heard anything: the same directory goes on, an empty one replaces it.
    let seven = rack.join(7, DEADLINE).await.unwrap();
    assert_eq!(seven.conductor(), id);
    seven.shutdown().await;
    drop(seven);
    std::fs::remove_dir_all(dir.path().join("c7")).unwrap();
    let seven = rack.join(7, DEADLINE).await.unwrap();
    assert!(seven.conductor() > id);
    seven.linearizable().await.unwrap();
    let members: Vec<u64> = running[&1]
        .report()
        .members
        .iter()
        .map(|one| one.id.0)
        .collect();
    assert_eq!(members, [1, seven.conductor().0]);
    running.insert(7, seven);
    stop_all(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_with_a_copy_of_the_data_is_refused_and_harms_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let mut rack = Rack::new(dir.path(), 3).await;
    let running = rack.start_all().await;
    begin(&running[&2]).await;
    let life = running[&2].incarnation();
    // A copy of the directory, on another machine with the same configuration.
    copy(&dir.path().join("c2"), &dir.path().join("copy"));
    let mut options = rack.options(2, &rack.first[&ConductorId(2)]);
    options.storage = Storage::Directory(dir.path().join("copy"));
    let entry = Entry {
        first: None,
        via: Vec::new(),
        patience: Duration::ZERO,
    };
    let twice = enter(options, 50, entry.clone()).await.err().unwrap();
    assert!(matches!(twice, ClusterError::Twice { .. }), "{twice}");
    assert!(twice.to_string().contains("runs already"), "{twice}");
    // The same with an address of its own: its peers hear the first one and refuse the second.
    let (listen, address) = listener().await;
    drop(listen);
    let mut options = rack.options(2, &address);
    options.storage = Storage::Directory(dir.path().join("copy"));
    options.patience = Duration::from_millis(300);
    let second = enter(options, 51, entry).await.unwrap();
    for n in 1..=20 {
        running[&2].propose(change(n)).await.unwrap();
        assert!(second.propose(change(1000)).await.is_err());
        if n == 3 {
            break;
        }
    }
    let record = running[&1]
        .state()
        .read()
        .conductor(ConductorId(2))
        .cloned();
    assert_eq!(record.unwrap().incarnation, life);
    assert!(!has(&running[&1], 1000));
    // The leader tells it to end; the first one is asked nothing.
    let mut fatal = second.fatal();
    let fatal = tokio::time::timeout(DEADLINE, fatal.wait_for(Option::is_some)).await;
    let fatal = fatal.unwrap().unwrap().clone().unwrap();
    assert!(
        fatal.expelled && fatal.what.contains("runs already"),
        "{fatal}"
    );
    assert_eq!(*running[&2].fatal().borrow(), None);
    second.shutdown().await;
    running[&2].propose(change(30)).await.unwrap();
    stop_all(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_five_are_learners_and_one_of_them_takes_the_vote_of_a_lost_voter() {
    let dir = tempfile::tempdir().unwrap();
    let mut rack = Rack::new(dir.path(), 1).await;
    let mut running = rack.start_all().await;
    for id in 2..=6 {
        let joined = rack.join(id, DEADLINE).await.unwrap();
        running.insert(id, joined);
        let wanted = match id {
            2 => 1,
            3 | 4 => 3,
            _ => 5,
        };
        eventually(&format!("{wanted} voters of {id} members"), || {
            (voters(&running[&1]).len() == wanted).then_some(())
        })
        .await;
    }
    assert_eq!(running[&1].report().members.len(), 6);
    // A voter dies; the sixth, so far a learner, votes in its place.
    let leader = running[&1].leader().unwrap();
    let learner = |running: &BTreeMap<u64, Cluster>| {
        let votes = voters(&running[&1]);
        let mut ids = running.values().map(|one| one.conductor().0);
        ids.find(|id| !votes.contains(id))
    };
    let sixth = learner(&running).unwrap();
    let victim = running
        .iter()
        .find(|(id, one)| {
            let id_in_raft = one.conductor();
            **id != 1 && id_in_raft != leader && id_in_raft.0 != sixth
        })
        .map(|(id, _)| *id)
        .unwrap();
    let lost = running[&victim].conductor().0;
    running.remove(&victim).unwrap().shutdown().await;
    eventually("the learner votes", || {
        let votes = voters(&running[&1]);
        (votes.contains(&sixth) && !votes.contains(&lost) && votes.len() == 5).then_some(())
    })
    .await;
    // A member that is removed hears so, and ends.
    let outcast = running.remove(&6).or_else(|| running.remove(&5)).unwrap();
    let remove = MembershipChange::Remove(outcast.conductor().0);
    running[&1].change_membership(remove).await.unwrap();
    let mut fatal = outcast.fatal();
    let fatal = tokio::time::timeout(DEADLINE, fatal.wait_for(Option::is_some)).await;
    let what = fatal.unwrap().unwrap().clone().unwrap().what;
    assert!(what.contains("was removed from the cluster"), "{what}");
    outcast.shutdown().await;
    stop_all(running).await;
}

/// The leader that it last knew is gone, and nobody can reach it to tell who leads now: it has to find out.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_comes_back_elsewhere_finds_a_leader_that_it_never_heard_of() {
    let dir = tempfile::tempdir().unwrap();
    let mut rack = Rack::new(dir.path(), 5).await;
    let mut running = rack.start_all().await;
    let agreed = |running: &BTreeMap<u64, Cluster>| {
        let leaders: Vec<_> = running.values().map(Cluster::leader).collect();
        leaders[0].filter(|_| leaders.iter().all(|one| *one == leaders[0]))
    };
    let former = eventually("a leader", || agreed(&running)).await.0;
    let mover = former % 5 + 1;
    running.remove(&mover).unwrap().shutdown().await;
    running.remove(&former).unwrap().shutdown().await;
    eventually("another leader", || {
        agreed(&running).filter(|leader| leader.0 != former)
    })
    .await;
    let (listen, address) = listener().await;
    drop(listen);
    rack.first.insert(ConductorId(mover), address.clone());
    running.insert(mover, rack.start(mover).await.unwrap());
    for cluster in running.values() {
        eventually("everybody to know its new address", || {
            let report = cluster.report();
            let member = report.members.iter().find(|one| one.id.0 == mover)?;
            (member.address.as_ref() == address).then_some(())
        })
        .await;
    }
    running[&mover].propose(change(1)).await.unwrap();
    stop_all(running).await;
}
