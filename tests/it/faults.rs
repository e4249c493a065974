//! Faults of processes, disks and clocks, on one cluster of three conductors: after each, what was acknowledged is
//! there, and everybody is back.

use crate::identity;
use crate::rack::{Conductor, Place, Rack};
use crate::support::eventually;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The library that makes faults in a process, or why there is none.
fn faults_library(dir: &Path) -> Result<PathBuf, String> {
    let library = dir.join("libfaults.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/faults.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status();
    match built {
        Ok(status) if status.success() => Ok(library),
        Ok(status) => Err(format!("cc: {status}")),
        Err(error) => Err(format!("cc: {error}")),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the length of a pause is what is tried here"
)]
fn pause(conductor: &Conductor, length: Duration) {
    conductor.signal("-STOP");
    std::thread::sleep(length);
    conductor.signal("-CONT");
}

#[test]
fn a_cluster_survives_what_happens_to_one_of_its_processes_disks_and_clocks() {
    let dir = tempfile::tempdir().expect("a directory");
    let places: Vec<Place> = (0..3).map(|_| Place::loopback()).collect();
    let mut rack = Rack::found(dir.path(), &places, None);
    let library = faults_library(dir.path());
    if let Ok(library) = &library {
        for conductor in &mut rack.conductors {
            conductor.preload = Some(library.clone());
        }
    }
    rack.start_all();
    for number in 1..=3 {
        rack.write(number);
    }
    kills(&mut rack);
    pauses(&mut rack);
    all_at_once(&mut rack);
    match &library {
        Ok(_) => {
            stepped_clock(&mut rack);
            failing_sync(&mut rack);
        }
        Err(reason) => eprintln!("SKIPPED: failing fsync and stepped clock: {reason}"),
    }
    damaged_store(&mut rack);
    identity::one_identity_twice(&mut rack, dir.path());
    identity::a_copy_during_a_pause(&mut rack, dir.path());
    drains(&mut rack);
    rack.stop_all();
}

/// kill -9 of the leader, and of one that follows.
fn kills(rack: &mut Rack) {
    for leads in [true, false] {
        let leader = rack.leader();
        let victim = if leads { leader } else { leader % 3 + 1 };
        let other = victim % 3 + 1;
        rack.at_mut(victim).kill();
        rack.write(other);
        // It is started while its old session may still live, and must not wait long for that.
        rack.at_mut(victim).start();
        rack.write(victim);
        rack.settle();
    }
}

/// How often a conductor began a life, as another one knows it.
pub(crate) fn lives(rack: &Rack, number: usize) -> u64 {
    let (host, other) = (rack.at(number).host.clone(), rack.at(number % 3 + 1));
    let members = other.admin("/admin/v1/members").expect("it answers");
    let members = members["members"].as_array().expect("a list");
    let member = members.iter().find(|one| one["host"] == host.as_str());
    member.expect("it is a member")["incarnation"]
        .as_u64()
        .expect("a number")
}

/// The leader pauses: for less than a session, and for longer.
fn pauses(rack: &mut Rack) {
    for length in [500, 3000] {
        let leader = rack.leader();
        let before = lives(rack, leader);
        pause(rack.at(leader), Duration::from_millis(length));
        rack.write(leader % 3 + 1);
        rack.settle();
        if length == 3000 {
            // The others did not wait for it: it came back in a new life.
            assert!(lives(rack, leader) > before, "nobody took over from it");
        }
        rack.write(leader);
    }
}

/// Power cut of everything.
fn all_at_once(rack: &mut Rack) {
    rack.write(1);
    for conductor in &mut rack.conductors {
        conductor.kill();
    }
    rack.start_all();
    rack.write(2);
}

/// One conductor's wall clock is an hour ahead, then two hours behind: nothing happens.
fn stepped_clock(rack: &mut Rack) {
    let leader = rack.leader();
    let term = |rack: &Rack| {
        rack.at(leader)
            .admin("/admin/v1/cluster")
            .expect("it answers")["term"]
            .clone()
    };
    let before = term(rack);
    for (step, number) in [("3600", leader), ("-7200", leader % 3 + 1)] {
        let file = rack.at(number).dir.join("faults/clock");
        std::fs::write(&file, step).expect("written");
        let living: Vec<u64> = (1..=3).map(|number| lives(rack, number)).collect();
        for writer in 1..=3 {
            rack.write(writer);
        }
        rack.settle();
        let after: Vec<u64> = (1..=3).map(|number| lives(rack, number)).collect();
        assert_eq!(after, living, "a session ended because a clock was stepped");
        std::fs::remove_file(&file).expect("removed");
    }
    assert_eq!(
        term(rack),
        before,
        "the leader changed because a clock was stepped"
    );
}

/// An fsync fails: the process says so and ends, and comes back when the disk is well.
fn failing_sync(rack: &mut Rack) {
    let victim = rack.leader();
    let other = victim % 3 + 1;
    let file = rack.at(victim).dir.join("faults/fsync");
    std::fs::write(&file, "").expect("written");
    rack.write(other);
    rack.at_mut(victim).wait_for_end();
    let log = rack.at(victim).log();
    assert!(log.contains("could not sync its data file"), "{log}");
    assert!(log.contains("nothing more may be promised"), "{log}");
    std::fs::remove_file(&file).expect("removed");
    rack.write(other);
    rack.at_mut(victim).start();
    rack.write(victim);
    rack.settle();
}

/// The store of one conductor is damaged: it is set aside, and the conductor is rebuilt from its peers under a new id.
fn damaged_store(rack: &mut Rack) {
    let victim = rack.leader() % 3 + 1;
    let old = rack.at(victim).id().expect("it answers");
    rack.at_mut(victim).stop();
    let db = std::fs::File::options()
        .write(true)
        .open(rack.at(victim).data().join("store/db"))
        .expect("the store is there");
    db.set_len(3000).expect("cut");
    db.write_all_at(b"damage", 100).expect("written");
    drop(db);
    let said = rack.at_mut(victim).start_and_fail();
    assert!(
        said.contains("was damaged") && said.contains("was moved to"),
        "{said}"
    );
    rack.write(victim % 3 + 1);
    rack.at_mut(victim).start();
    rack.write(victim);
    rack.settle();
    let new = rack.at(victim).id().expect("it answers");
    assert!(new > 16 && new != old, "it came back as {new}, was {old}");
    let leader = rack.leader();
    let voters = || {
        let status = rack.at(leader).admin("/admin/v1/members")?;
        let members = status["members"].as_array()?.clone();
        let votes = members
            .iter()
            .filter(|one| one["role"] == "leader" || one["role"] == "follower");
        (members.len() == 3 && votes.count() == 3).then_some(())
    };
    eventually(
        "the rebuilt conductor votes, and its old entry is gone",
        voters,
    );
}

/// An operator drains a conductor: it stays drained when it is killed and comes back, until it is undrained.
fn drains(rack: &mut Rack) {
    let victim = rack.leader() % 3 + 1;
    let host = rack.at(victim).host.clone();
    let shown = |rack: &Rack, number: usize| {
        let members = rack.at(number).admin("/admin/v1/members")?;
        let members = members["members"].as_array()?.clone();
        let member = members
            .into_iter()
            .find(|one| one["host"] == host.as_str())?;
        Some((member["status"].clone(), member["nodes"].as_u64()?))
    };
    let order = |rack: &Rack, word: &str| {
        let path = format!("/admin/v1/conductors/{host}/{word}");
        let answer = rack
            .at(victim % 3 + 1)
            .operate(&path, &serde_json::json!({}));
        assert!(matches!(answer, Some((200, _))), "{word}: {answer:?}");
    };
    order(rack, "drain");
    eventually("it to own nothing", || {
        (shown(rack, victim)? == ("draining".into(), 0)).then_some(())
    });
    let before = lives(rack, victim);
    rack.at_mut(victim).kill();
    rack.at_mut(victim).start();
    eventually("it to be back, and drained", || {
        let back = rack.at(victim).alive()?.contains(&host) && lives(rack, victim) > before;
        (back && shown(rack, victim)? == ("draining".into(), 0)).then_some(())
    });
    rack.write(victim);
    let path = format!("/v1/conductors/{host}");
    let (_, public) = rack
        .at(victim)
        .api("GET", &path, &serde_json::Value::Null)
        .expect("it answers");
    assert_eq!(public["draining"], true, "{public}");
    order(rack, "undrain");
    eventually("it to own its share again", || {
        let (status, nodes) = shown(rack, victim)?;
        (status == "up" && nodes > 0).then_some(())
    });
}

#[test]
fn a_full_disk_ends_one_conductor_and_harms_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let small = dir.path().join("c3/data");
    std::fs::create_dir_all(&small).expect("made");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=48m", "baton-test"])
        .arg(&small)
        .output();
    if !mounted.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: a full disk needs the right to mount a small one: {mounted:?}");
        return;
    }
    let _mount = Mount(small.clone());
    let places: Vec<Place> = (0..3).map(|_| Place::loopback()).collect();
    let mut rack = Rack::found(dir.path(), &places, None);
    rack.start_all();
    rack.write(3);
    let filler = small.join("filler");
    let mut size = 48_u64 << 20;
    while size > 0 {
        // Whatever is left, down to the last page.
        let filled = Command::new("fallocate")
            .args([
                "-o",
                &std::fs::metadata(&filler)
                    .map_or(0, |file| file.len())
                    .to_string(),
                "-l",
            ])
            .args([size.to_string().as_str(), &filler.display().to_string()])
            .output()
            .expect("fallocate runs");
        if !filled.status.success() {
            size /= 2;
            if size < 4096 {
                break;
            }
        }
    }
    let mut writes = 0;
    while rack
        .at_mut(3)
        .child
        .as_mut()
        .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    {
        rack.write(writes % 2 + 1);
        writes += 1;
        assert!(writes < 3000, "a full disk stopped nobody");
    }
    rack.at_mut(3).wait_for_end();
    let log = rack.at(3).log();
    assert!(log.contains("No space left on device"), "{log}");
    rack.write(1);
    std::fs::remove_file(&filler).expect("removed");
    rack.at_mut(3).start();
    // What it could not write completely may be lost to it; then it is rebuilt from its peers.
    if eventually("the third to be back, or to find damage", || {
        let ended = rack.at_mut(3).child.as_mut()?.try_wait().ok()?.is_some();
        let back = rack.at(3).alive().is_some_and(|alive| alive.contains("c3"));
        (ended || back).then_some(ended)
    }) {
        assert!(
            rack.at(3).log().contains("was damaged"),
            "{}",
            rack.at(3).log()
        );
        rack.at_mut(3).start();
    }
    rack.settle();
    rack.write(3);
    rack.stop_all();
}

/// Unmounts.
struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}
