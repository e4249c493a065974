//! Version 1 of every stored format. `BATON_WRITE_GOLDEN=1` writes files that are missing; it never changes one.

use baton_cluster::backup::BackupRec;
use baton_cluster::codec::raft::{
    Blob, decode_entry, decode_log_id, decode_vote, encode_entry, encode_log_id, encode_vote,
};
use baton_cluster::codec::state::{
    StateMeta, decode_meta, decode_proposals, decode_replies, decode_replies_of, decode_stored,
    encode_meta, encode_proposal, encode_replies, encode_reply, encode_stored,
};
use baton_cluster::codec::{Schema, decode, encode};
use baton_model::ids::ConductorId;
use baton_model::state::ClusterState;
use std::fmt::Debug;
use std::path::PathBuf;

use super::super::support::samples;

fn golden(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/format/v01")
        .join(format!("{name}.bin"));
    if !path.exists() && std::env::var_os("BATON_WRITE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The value still encodes to the frozen bytes, and the frozen bytes still decode to the value.
fn frozen<T: PartialEq + Debug, E: Debug>(
    name: &str,
    value: &T,
    bytes: Vec<u8>,
    decode: impl Fn(&[u8]) -> Result<T, E>,
) {
    let golden = golden(name, &bytes);
    assert_eq!(
        decode(&golden).unwrap(),
        *value,
        "{name} is read differently"
    );
    assert!(golden == bytes, "{name} is written differently");
}

#[test]
fn proposals() {
    for (name, proposal) in samples::proposals() {
        let bytes = encode_proposal(&proposal).unwrap();
        frozen(
            &format!("proposal-{name}"),
            &vec![proposal],
            bytes,
            decode_proposals,
        );
    }
}

#[test]
fn replies() {
    for (name, reply) in samples::replies() {
        let bytes = encode_reply(&reply).unwrap();
        frozen(
            &format!("reply-{name}"),
            &vec![reply],
            bytes,
            decode_replies_of,
        );
    }
}

#[test]
fn state_records() {
    let state = ClusterState::restore(samples::records().into_iter().map(|(_, record)| record));
    let group = encode_replies(&state, ConductorId(3), 99).unwrap().unwrap();
    let replied = decode_replies(&group).unwrap();
    assert_eq!(replied.len(), 1);
    frozen("replies", &replied, group, decode_replies);
    for (name, record) in samples::records() {
        let bytes = encode_stored(&record).unwrap();
        frozen(&format!("record-{name}"), &record, bytes, decode_stored);
    }
}

#[test]
fn backups() {
    let frames = [
        (
            "head",
            BackupRec::Head {
                cluster: uuid::Uuid::from_u128(7),
                last_applied: Some(samples::log_id(9).into()),
                at_ms: 1_700_000_000_000,
                host: "c1".to_owned(),
            },
        ),
        ("part", BackupRec::Part(vec![Blob::from(vec![1, 2, 3])])),
        (
            "end",
            BackupRec::End {
                parts: 1,
                records: 1,
                crc: 5,
            },
        ),
    ];
    for (name, frame) in frames {
        let bytes = encode(Schema::BACKUP, &frame).unwrap();
        frozen(&format!("backup-{name}"), &frame, bytes, |bytes| {
            decode(Schema::BACKUP, bytes)
        });
    }
}

#[test]
fn raft_records() {
    for (name, entry) in samples::entries() {
        frozen(
            &format!("entry-{name}"),
            &entry,
            encode_entry(&entry).unwrap(),
            decode_entry,
        );
    }
    let vote = samples::vote();
    frozen("vote", &vote, encode_vote(vote).unwrap(), decode_vote);
    for (name, id) in [("some", Some(samples::log_id(7))), ("none", None)] {
        let bytes = encode_log_id(id).unwrap();
        frozen(&format!("log-id-{name}"), &id, bytes, decode_log_id);
    }
    let meta = StateMeta {
        last_applied: Some(samples::log_id(9)),
        membership: samples::membership(),
        generation: 3,
    };
    frozen(
        "state-meta",
        &meta,
        encode_meta(&meta).unwrap(),
        decode_meta,
    );
}
