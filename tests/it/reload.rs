//! SIGHUP: what may change live does, down to the actors and the cluster; one option that may not refuses the whole file.

#![expect(clippy::expect_used, reason = "helpers of tests")]

use crate::support::{Dev, eventually, get};
use std::path::Path;

fn rewrite(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).expect("readable");
    assert!(text.contains(from), "{from} is not in {text}");
    std::fs::write(file, text.replacen(from, to, 1)).expect("writable");
}

fn group_of(dev: &Dev, conductor: u8) -> Option<String> {
    let members = get(dev.admin(conductor % 3 + 1), "/admin/v1/members")?;
    let host = format!("conductor-{conductor}");
    let members = members["members"].as_array()?.clone();
    let member = members
        .into_iter()
        .find(|member| member["host"] == host.as_str())?;
    Some(member["conductor_group"].as_str()?.to_owned())
}

#[test]
fn a_reload_reaches_actors_and_cluster_and_is_all_or_nothing() {
    let data = tempfile::tempdir().expect("a directory");
    let dev = Dev::start(6, data.path());
    let file = data.path().join("conductor-1/baton.toml");
    let log = || {
        let text = std::fs::read_to_string(data.path().join("conductor-1/baton.log"));
        text.unwrap_or_default()
    };
    assert_eq!(group_of(&dev, 1).as_deref(), Some(""));

    // The group and an interval are live: the cluster hears of the one, the schedules of the other.
    rewrite(
        &file,
        "[conductor]\n",
        "[conductor]\nconductor_group = \"blue\"\n",
    );
    rewrite(&file, "level = \"info\"", "level = \"debug\"");
    dev.signal(1, "-HUP");
    eventually("the new group to be known to the others", || {
        (group_of(&dev, 1)? == "blue").then_some(())
    });
    eventually("its nodes to be owned by the others", || {
        let nodes = dev.nodes(2);
        let elsewhere = |node: &serde_json::Value| node["conductor"] != "conductor-1";
        (nodes.len() == 6 && nodes.values().all(elsewhere)).then_some(())
    });
    eventually("the log to have become talkative", || {
        log().contains("DEBUG").then_some(())
    });

    // A port cannot change live, so nothing of that file is taken over.
    rewrite(&file, "[api]\nport = ", "[api]\nport = 6384 # not ");
    rewrite(
        &file,
        "conductor_group = \"blue\"",
        "conductor_group = \"green\"",
    );
    dev.signal(1, "-HUP");
    eventually("the refusal with its reason", || {
        let text = log();
        (text.contains("was not reloaded") && text.contains("restart this conductor")).then_some(())
    });
    assert_eq!(group_of(&dev, 1).as_deref(), Some("blue"));
    dev.stop();
}
