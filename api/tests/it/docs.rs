//! `docs/compatibility.md` tells the truth.

use crate::world::World;
use axum::http::Method;
use std::path::Path;

#[test]
fn the_compatibility_page_is_what_the_route_table_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/compatibility.md");
    let printed = baton_api::compatibility();
    if std::env::vars_os().any(|(key, _)| key == "UPDATE_DOCS") {
        std::fs::write(&path, &printed).expect("docs can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == printed,
        "docs/compatibility.md is not what the route table prints; run this test with UPDATE_DOCS=1"
    );
}

#[tokio::test]
async fn every_row_is_routed_and_none_fails() {
    let world = World::new();
    let id = world.enroll("one").await;
    let mut rows = 0;
    for line in baton_api::compatibility().lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, method, path, since, state, _] = cells.as_slice() else {
            continue;
        };
        let Ok(method) = Method::from_bytes(method.as_bytes()) else {
            continue;
        };
        if !path.starts_with('`') {
            continue;
        }
        rows += 1;
        let pattern = *path;
        let path = path
            .trim_matches('`')
            .replace("{node}", &id.to_string())
            .replace(['{', '}'], "");
        // Deleting comes last in nobody's mind; skip what would remove the node under test.
        if method == Method::DELETE && path == format!("/v1/nodes/{id}") {
            continue;
        }
        let version = ("x-openstack-ironic-api-version", "1.115");
        let answer = world.raw(method.clone(), &path, &[version], "").await;
        let status = answer.status.as_u16();
        assert!(status < 500, "{method} {path}: {status} {answer:?}");
        assert!(status != 405, "{method} {path} is not routed");
        if *state == "full"
            && method == Method::GET
            && !path.contains("driver")
            && !path.contains("host")
        {
            // One object of a kind: there is none.
            let one = pattern.replace("{node}", "").contains('{') || path.ends_with("/allocation");
            // Which method is called is in the query, and what an inspection leaves is not there before one.
            let unnamed = ["/vendor_passthru", "/inventory"]
                .iter()
                .any(|end| path.ends_with(end));
            let fine = status == 200 || path.ends_with("/validate") || one || unnamed;
            assert!(fine, "{method} {path}: {status} {}", answer.fault());
        }
        // Below its gate the row hides.
        let minor: u16 = since.trim_start_matches("1.").parse().expect("a minor");
        if minor > 1 {
            let below = format!("1.{}", minor - 1);
            let version = ("x-openstack-ironic-api-version", below.as_str());
            let answer = world.raw(method.clone(), &path, &[version], "").await;
            assert!(
                matches!(answer.status.as_u16(), 404..=406),
                "{method} {path} at {below}: {}",
                answer.status
            );
        }
    }
    assert!(rows > 100, "only {rows} rows were read");
}
