//! The status of a cluster as a table.

use serde_json::Value;

const HEADERS: [&str; 8] = [
    "ID", "HOST", "ADDRESS", "ROLE", "SESSION", "BEHIND", "HEARD", "NODES",
];

/// The document of `--json` for people.
pub(super) fn table(status: &Value) -> String {
    let empty = Vec::new();
    let members = status["members"].as_array().unwrap_or(&empty);
    let mut rows = vec![HEADERS.map(str::to_owned)];
    rows.extend(members.iter().map(|member| {
        [
            word(&member["id"]),
            word(&member["host"]),
            word(&member["address"]),
            word(&member["role"]),
            word(&member["status"]),
            word(&member["behind"]),
            match member["heard_ms"].as_u64() {
                Some(ms) => format!("{ms} ms"),
                None => "-".to_owned(),
            },
            word(&member["nodes"]),
        ]
    }));
    let widths: Vec<usize> = (0..HEADERS.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    let leader = match members.iter().find(|member| member["leader"] == true) {
        Some(leader) => format!("{} ({})", word(&leader["host"]), leader["id"]),
        None => "nobody; the cluster takes no changes until a majority of the voters is there"
            .to_owned(),
    };
    let mut line = |line: String| {
        text.push_str(line.trim_end());
        text.push('\n');
    };
    line(format!("cluster   {}", word(&status["cluster"])));
    line(format!("leader    {leader}, term {}", status["term"]));
    line(format!(
        "log       {} written, {} applied, snapshot up to {}",
        status["last_log"],
        status["applied"],
        word(&status["snapshot"])
    ));
    line(format!(
        "disk      {} KiB of the asked conductor ({})",
        status["disk_bytes"].as_u64().unwrap_or(0) >> 10,
        status["me"]
    ));
    if status["unowned_nodes"].as_u64() > Some(0) {
        line(format!("unowned   {} nodes", status["unowned_nodes"]));
    }
    line(String::new());
    for row in &rows {
        let cells = row.iter().zip(&widths);
        line(
            cells
                .map(|(cell, width)| format!("{cell:<width$}  "))
                .collect::<String>(),
        );
    }
    text
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cluster_is_told_in_a_table() {
        let status = json!({
            "cluster": "7f", "me": 1, "leader": 1, "term": 4, "last_log": 90, "applied": 88, "snapshot": null,
            "disk_bytes": 3 << 20, "unowned_nodes": 0,
            "members": [
                {"id": 1, "host": "c1", "address": "10.0.0.1:6387", "role": "leader", "leader": true, "status": "up",
                 "behind": 0, "heard_ms": null, "nodes": 40},
                {"id": 99, "host": "c2.rack2", "address": "10.0.0.2:6387", "role": "learner", "leader": false,
                 "status": null, "behind": 7, "heard_ms": 12, "nodes": 0},
            ],
        });
        let expected = "\
cluster   7f
leader    c1 (1), term 4
log       90 written, 88 applied, snapshot up to -
disk      3072 KiB of the asked conductor (1)

ID  HOST      ADDRESS        ROLE     SESSION  BEHIND  HEARD  NODES
1   c1        10.0.0.1:6387  leader   up       0       -      40
99  c2.rack2  10.0.0.2:6387  learner  -        7       12 ms  0
";
        assert_eq!(table(&status), expected);
        assert!(table(&json!({"members": []})).contains("leader    nobody"));
    }
}
