//! Who a conductor is: one process, found where the membership says.

use crate::faults::lives;
use crate::rack::{Conductor, Place, Rack};
use crate::support::eventually;
use std::path::Path;
use std::process::Command;

/// Processes that claim to be a conductor that runs.
pub(crate) fn one_identity_twice(rack: &mut Rack, root: &Path) {
    let first = rack.at(1);
    let id = first.id().expect("it answers");
    // On its own directory.
    let mut twin = Conductor::new(&first.host, Place::loopback(), &root.join("twin"), "");
    let config = std::fs::read_to_string(first.config()).expect("there");
    std::fs::write(twin.config(), &config).expect("written");
    let said = twin.start_and_fail();
    assert!(said.contains("in use by another process"), "{said}");
    // On a copy of it, everything else alike.
    let copy = twin.data();
    let copied = Command::new("cp")
        .arg("-r")
        .args([first.data(), copy.clone()])
        .status();
    assert!(copied.expect("cp runs").success());
    let moved = config.replace(
        &first.data().display().to_string(),
        &copy.display().to_string(),
    );
    std::fs::write(twin.config(), moved).expect("written");
    let said = twin.start_and_fail();
    assert!(said.contains("runs already"), "{said}");
    // Its host name, with an empty directory: it waits for the first one's end, and gives up.
    std::fs::remove_dir_all(&copy).expect("removed");
    twin.configure(&format!("join = [\"{}\"]", rack.at(2).place.peer()));
    let refused = twin.cluster_error(&["join"]);
    assert!(refused.contains("which is alive"), "{refused}");
    rack.write(1);
    rack.settle();
    assert_eq!(rack.at(1).id(), Some(id));
}

/// A second process on a copy of a conductor's data is started elsewhere while the first one is stopped: it gets no place,
/// and ends once the first one goes on.
pub(crate) fn a_copy_during_a_pause(rack: &mut Rack, root: &Path) {
    let leader = rack.leader();
    let victim = leader % 3 + 1;
    let host = rack.at(victim).host.clone();
    let (id, before) = (rack.at(victim).id(), lives(rack, victim));
    let mut twin = Conductor::new(&host, Place::loopback(), &root.join("elsewhere"), "");
    let copied = Command::new("cp")
        .arg("-r")
        .args([rack.at(victim).data(), twin.data()])
        .status();
    assert!(copied.expect("cp runs").success());
    rack.at(victim).signal("-STOP");
    twin.start();
    eventually("the copy to look for its place", || {
        let log = rack.at(leader).log();
        log.contains("does not answer; end that one first")
            .then_some(())
    });
    rack.write(leader);
    rack.at(victim).signal("-CONT");
    let mut child = twin.child.take().expect("it was started");
    let ended = eventually("the end of the copy", || child.try_wait().expect("a child"));
    // The service manager need not try again.
    assert_eq!(ended.code(), Some(78), "{}", twin.log());
    let said = twin.log();
    assert!(said.contains("runs already"), "{said}");
    rack.write(victim);
    rack.settle();
    assert_eq!(rack.at(victim).id(), id);
    assert!(
        lives(rack, victim) > before,
        "the pause did not end its session, so nothing was tried"
    );
}

#[test]
fn a_conductor_that_comes_back_under_another_address_is_found_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let places: Vec<Place> = (0..3).map(|_| Place::loopback()).collect();
    let mut rack = Rack::found(dir.path(), &places, None);
    rack.start_all();
    rack.write(1);
    moves(&mut rack);
    rack.stop_all();
}

/// A conductor is found elsewhere after a restart: it tells the others, whose files still have its old address.
fn moves(rack: &mut Rack) {
    let mover = rack.leader() % 3 + 1;
    let host = rack.at(mover).host.clone();
    rack.at_mut(mover).stop();
    let (old, new) = (rack.at(mover).place.peer(), Place::loopback().peer());
    let config = std::fs::read_to_string(rack.at(mover).config()).expect("there");
    assert!(config.contains(&old), "{config}");
    let config = config.replace(&old, &new);
    std::fs::write(rack.at(mover).config(), config).expect("written");
    rack.at_mut(mover).start();
    rack.write(mover);
    rack.settle();
    for number in 1..=3 {
        eventually("everybody to know where it is", || {
            let members = rack.at(number).admin("/admin/v1/members")?;
            let mut members = members["members"].as_array()?.iter();
            let member = members.find(|one| one["host"] == host.as_str())?;
            (member["address"] == new.as_str()).then_some(())
        });
    }
    // They reach it there when they begin anew, too.
    let leader = rack.leader();
    rack.at_mut(leader).stop();
    rack.at_mut(leader).start();
    rack.write(leader);
    rack.settle();
}
