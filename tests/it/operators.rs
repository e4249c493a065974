//! What the runbooks tell operators to do, on real processes: every command of `baton cluster`.

use crate::rack::{Conductor, Place};
use crate::support::eventually;
use serde_json::Value;
use std::path::Path;

fn conductor(root: &Path, n: usize) -> Conductor {
    let host = format!("c{n}");
    let extra = "voter_lost_after_ms = 2000";
    Conductor::new(&host, Place::loopback(), &root.join(&host), extra)
}

fn status(conductor: &Conductor) -> Option<Value> {
    let output = conductor.cluster(&["status", "--json"]);
    serde_json::from_slice(&output.stdout).ok()
}

/// The members' roles by host name, voters first.
fn roles(conductor: &Conductor) -> Option<(Vec<String>, Vec<String>)> {
    let status = status(conductor)?;
    let members = status["members"].as_array()?;
    let here = members.iter().filter(|member| member["status"] == "up");
    let (learners, voters): (Vec<&Value>, Vec<&Value>) =
        here.partition(|member| member["role"] == "learner");
    let hosts = |members: Vec<&Value>| {
        let mut hosts: Vec<String> = members
            .iter()
            .filter_map(|member| member["host"].as_str().map(str::to_owned))
            .collect();
        hosts.sort();
        hosts
    };
    Some((hosts(voters), hosts(learners)))
}

fn wait_for_voters(conductor: &Conductor, votes: usize, learns: usize) {
    eventually(&format!("{votes} voters and {learns} learners"), || {
        let (voters, learners) = roles(conductor)?;
        (voters.len() == votes && learners.len() == learns).then_some(())
    });
}

#[test]
fn operators_make_grow_mend_save_and_restore_a_cluster() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut all: Vec<Conductor> = (1..=6).map(|n| conductor(dir.path(), n)).collect();

    // A data directory of nobody is not started into a cluster of its own.
    let said = all[0].start_and_fail();
    assert!(said.contains("baton cluster init"), "{said}");
    let made = all[0].cluster_ok(&["init"]);
    assert!(
        made.contains("its only member is conductor 1 (c1)"),
        "{made}"
    );
    assert!(all[0].cluster_error(&["init"]).contains("is not empty"));
    all[0].start();
    let via = all[0].place.peer();
    for n in 2..=6 {
        let told = all[n - 1].cluster_ok(&["join", "--via", &via]);
        assert!(told.contains("may enter cluster"), "{told}");
        all[n - 1].start();
        let (votes, learns) = match n {
            2 => (1, 1),
            3 => (3, 0),
            4 => (3, 1),
            5 => (5, 0),
            _ => (5, 1),
        };
        wait_for_voters(&all[0], votes, learns);
    }
    let table = all[5].cluster_ok(&["status"]);
    assert!(
        table.contains("c1 (1)") && table.contains("learner"),
        "{table}"
    );

    // A learner owns nodes like everybody else.
    for n in 0..24 {
        eventually("a write", || {
            all[n % 6].enroll(&format!("n{n}")).then_some(())
        });
    }
    let owned = eventually("every conductor to own something", || {
        let members = status(&all[5])?["members"].as_array()?.clone();
        let owned = members.iter().map(|one| one["nodes"].as_u64().unwrap_or(0));
        let owned: Vec<u64> = owned.collect();
        (owned.iter().all(|count| *count > 0)).then_some(owned)
    });
    assert_eq!(owned.iter().sum::<u64>(), 24);
    let disk = status(&all[5]).expect("it answers")["disk_bytes"].as_u64();
    assert!(disk > Some(30_000), "{disk:?}");

    // The leadership is moved from anywhere.
    let moved = all[4].cluster_ok(&["transfer-leader", "c3"]);
    assert!(moved.contains("leads now"), "{moved}");
    let leads = |host: &str| {
        let status = status(&all[5])?;
        let members = status["members"].as_array()?.clone();
        members
            .iter()
            .any(|one| one["host"] == host && one["leader"] == true)
            .then_some(())
    };
    eventually("c3 to lead", || leads("c3"));
    let learner = roles(&all[0]).expect("it answers").1[0].clone();
    let refused = all[0].cluster_error(&["transfer-leader", &learner]);
    assert!(refused.contains("no voter"), "{refused}");
    assert!(
        all[0]
            .cluster_error(&["transfer-leader", "c9"])
            .contains("c9")
    );

    // One leaves: its vote goes to the learner, its data is moved aside, and it may come back as a new member.
    let leaver = roles(&all[0])
        .expect("it answers")
        .0
        .iter()
        .position(|host| host != "c1" && host != "c3");
    let leaver = roles(&all[0]).expect("it answers").0[leaver.expect("five vote")].clone();
    let number = all
        .iter()
        .position(|one| one.host == leaver)
        .expect("known");
    all[number].cluster_ok(&["leave"]);
    let mut child = all[number].child.take().expect("it ran");
    let ended = eventually("its end", || child.try_wait().expect("a child"));
    assert!(ended.success(), "{}", all[number].log());
    wait_for_voters(&all[0], 5, 0);
    let said = all[number].start_and_fail();
    assert!(said.contains("member of no cluster"), "{said}");

    // One dies for good and is removed; a live one is not removed without force.
    let alive = all[0].cluster_error(&["remove", "c3"]);
    assert!(alive.contains("is alive"), "{alive}");
    let dead = (1..6)
        .find(|n| *n != number && *n != 2)
        .expect("one of six");
    all[dead].kill();
    let host = all[dead].host.clone();
    eventually("the dead one to be removed", || {
        all[0]
            .cluster(&["remove", &host])
            .status
            .success()
            .then_some(())
    });
    let gone = eventually("a cluster of four", || {
        let members = status(&all[0])?["members"].as_array()?.clone();
        let known = members.iter().any(|one| one["host"] == host.as_str());
        (!known).then_some(members.len())
    });
    assert_eq!(gone, 4);

    // It comes back with an old disk: it learns that it was removed.
    let said = all[dead].start_and_fail();
    assert!(said.contains("was removed from the cluster"), "{said}");

    // A backup of the running cluster, from any member, becomes a cluster of its own.
    let file = dir.path().join("backup");
    let path = file.display().to_string();
    let saved = all[0].cluster_ok(&["backup", &path]);
    assert!(saved.contains("bytes are in"), "{saved}");
    assert!(
        all[0]
            .cluster_error(&["backup", &path])
            .contains("is there already")
    );
    let occupied = all[0].cluster_error(&["restore", &path]);
    assert!(occupied.contains("in use by another process"), "{occupied}");
    for conductor in &mut all {
        if conductor.child.is_some() {
            conductor.kill();
        }
    }
    let mut new = conductor(dir.path(), 9);
    let told = new.cluster_ok(&["restore", &path]);
    assert!(told.contains("with 24 nodes"), "{told}");
    assert!(
        new.cluster_error(&["restore", &path])
            .contains("is not empty")
    );
    new.start();
    eventually("the restored conductor to have and own all", || {
        let members = new.admin("/admin/v1/members")?;
        let owns = members["members"][0]["nodes"] == 24;
        (new.nodes()?.len() == 24 && owns).then_some(())
    });
    assert!(new.enroll("after"));
    new.stop();
}

/// Two of three conductors are gone with their disks: what the third knows is saved, and becomes a new cluster.
#[test]
fn a_lost_majority_is_replaced_by_what_the_last_one_knows() {
    let dir = tempfile::tempdir().expect("a directory");
    let places: Vec<Place> = (0..3).map(|_| Place::loopback()).collect();
    let mut rack = crate::rack::Rack::found(dir.path(), &places, None);
    rack.start_all();
    rack.write(1);
    rack.write(2);
    rack.settle();
    rack.at_mut(1).kill();
    rack.at_mut(2).kill();
    let last = rack.at(3);
    let path = dir.path().join("backup").display().to_string();
    let refused = eventually("the last one to notice that it is alone", || {
        let output = last.cluster(&["backup", &path]);
        (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
    });
    assert!(refused.contains("--stale"), "{refused}");
    last.cluster_ok(&["backup", "--stale", &path]);
    eventually("the status to say that nobody leads", || {
        let table = last.cluster_ok(&["status"]);
        table.contains("leader    nobody").then_some(())
    });
    rack.at_mut(3).kill();
    let last = rack.at_mut(3);
    std::fs::rename(last.data(), last.dir.join("old")).expect("moved");
    last.configure("");
    let told = last.cluster_ok(&["restore", &path]);
    assert!(told.contains("with 2 nodes"), "{told}");
    last.start();
    eventually("the new cluster to have all", || {
        (last.nodes()?.len() == 2 && last.enroll("after")).then_some(())
    });
    last.stop();
}

#[test]
fn the_admin_endpoint_speaks_tls_to_those_who_know_its_authority() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut one = conductor(dir.path(), 1);
    let certs = dir.path().join("certs");
    let out = certs.display().to_string();
    let made = std::process::Command::new(crate::support::BATON)
        .args(["cluster", "certs", "c1", "--out", &out])
        .output()
        .expect("baton runs");
    assert!(made.status.success(), "{made:?}");
    let config = std::fs::read_to_string(one.config()).expect("there");
    let options = format!(
        "cert_file = \"{out}/c1.pem\"\nkey_file = \"{out}/c1.key\"\nca_file = \"{out}/ca.pem\""
    );
    let config = config.replace("allow_plain_http = true", &options);
    std::fs::write(one.config(), config).expect("written");
    one.cluster_ok(&["init"]);
    one.start();
    let shown = eventually("it to answer over TLS", || {
        status(&one).filter(|status| status["leader"].is_number())
    });
    assert_eq!(shown["members"][0]["host"], "c1");
    assert_eq!(
        one.admin("/admin/v1/cluster"),
        None,
        "plain HTTP was answered"
    );
    // By an address that its certificate is not for, it is nobody's.
    let address = one.place.admin();
    let refused = one.cluster_error(&["status", "--admin", &address]);
    assert!(refused.contains("certificate"), "{refused}");
    one.stop();
}
