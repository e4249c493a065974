//! Lists: filters, fields, sorting, pages.

use crate::world::World;
use serde_json::{Value, json};

async fn fleet(world: &World, count: usize) {
    for n in 0..count {
        let class = if n % 2 == 0 { "even" } else { "odd" };
        let body = json!({
            "driver": if n % 3 == 0 { "ipmi" } else { "fake-hardware" },
            "name": format!("n{n:03}"), "resource_class": class, "description": format!("rack {n} row 7"),
            "owner": "p1", "lessee": format!("l{}", n % 2), "shard": if n == 0 { Value::Null } else { json!(format!("s{}", n % 3)) },
        });
        world.post("/v1/nodes", body).await.expect(201);
    }
}

fn names(document: &Value) -> Vec<String> {
    document["nodes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|node| node["name"].as_str().expect("a name").to_owned())
        .collect()
}

#[tokio::test]
async fn items_hold_what_was_asked_for() {
    let world = World::new();
    fleet(&world, 2).await;
    let plain = world.get("/v1/nodes").await.expect(200).json();
    let mut keys: Vec<&String> = plain["nodes"][0]
        .as_object()
        .expect("an object")
        .keys()
        .collect();
    keys.sort();
    assert_eq!(
        keys,
        [
            "instance_uuid",
            "links",
            "maintenance",
            "name",
            "power_state",
            "provision_state",
            "uuid"
        ]
    );
    assert!(plain.get("next").is_none());
    for path in ["/v1/nodes/detail", "/v1/nodes?detail=True"] {
        let detail = world.get(path).await.expect(200).json();
        let shown = world.get("/v1/nodes/n000").await.json();
        assert_eq!(detail["nodes"][0], shown);
    }
    let fields = world
        .get("/v1/nodes?fields=uuid,Conductor&fields=allocation_uuid,chassis_uuid,uuid")
        .await
        .expect(200)
        .json();
    let mut keys: Vec<&String> = fields["nodes"][0]
        .as_object()
        .expect("an object")
        .keys()
        .collect();
    keys.sort();
    assert_eq!(
        keys,
        [
            "allocation_uuid",
            "chassis_uuid",
            "conductor",
            "links",
            "uuid"
        ]
    );
    for (query, text) in [
        ("fields=nope", "Field(s) \"nope\" are not valid"),
        ("fields=created_at", "not valid"),
        (
            "fields=uuid&detail=true",
            "Can not specify ?detail=True and fields in the same request.",
        ),
        ("limit=0", "Limit must be positive"),
        ("limit=-1", "Limit must be positive"),
        ("limit=abc", "Expected an integer for limit: abc"),
        ("marker=zz", "Expected UUID for marker: zz"),
        (
            "sort_dir=x",
            "Invalid sort direction: x. Acceptable values are 'asc' or 'desc'",
        ),
        (
            "sort_key=nope",
            "The sort_key value nope is an invalid field for sorting",
        ),
        (
            "sort_key=driver_info",
            "The sort_key value driver_info is an invalid field for sorting",
        ),
        ("what=1&also=2", "Unexpected arguments: also, what"),
        (
            "maintenance=maybe",
            "Invalid maintenance: Unrecognized value 'maybe'",
        ),
        ("provision_state=nope", "\"nope\" is not valid"),
        ("fault=nope", "Unrecognized fault \"nope\""),
        ("instance_uuid=zz", "Expected UUID for instance_uuid: zz"),
    ] {
        let answer = world.get(&format!("/v1/nodes?{query}")).await.expect(400);
        assert!(answer.fault().contains(text), "{query}: {}", answer.fault());
    }
    world
        .get("/v1/nodes?marker=11111111-2222-3333-4444-555555555555")
        .await
        .expect(404);
}

#[tokio::test]
async fn filters_select() {
    let world = World::new();
    fleet(&world, 6).await;
    world
        .put("/v1/nodes/n001/maintenance", json!({}))
        .await
        .expect(202);
    let instance = "11111111-2222-3333-4444-555555555555";
    world
        .patch(
            "/v1/nodes/n002",
            json!([{"op": "add", "path": "/instance_uuid", "value": instance}]),
        )
        .await
        .expect(200);
    let parent = world.get("/v1/nodes/n000").await.json()["uuid"].clone();
    world
        .patch(
            "/v1/nodes/n005",
            json!([{"op": "add", "path": "/parent_node", "value": parent}]),
        )
        .await
        .expect(200);
    let expectations: [(&str, &[&str]); 17] = [
        ("", &["n000", "n001", "n002", "n003", "n004"]),
        (
            "include_children=True",
            &["n000", "n001", "n002", "n003", "n004", "n005"],
        ),
        ("parent_node=n000", &["n005"]),
        ("driver=ipmi", &["n000", "n003"]),
        ("resource_class=even&driver=ipmi", &["n000"]),
        ("maintenance=1", &["n001"]),
        ("associated=true", &["n002"]),
        (
            "instance_uuid=11111111-2222-3333-4444-555555555555",
            &["n002"],
        ),
        ("instance_uuid=21111111-2222-3333-4444-555555555555", &[]),
        ("provision_state=enroll&lessee=l1", &["n001", "n003"]),
        ("conductor=rack-1&limit=2", &["n000", "n001"]),
        ("conductor=other", &[]),
        ("project=l0", &["n000", "n002", "n004"]),
        ("description_contains=rack%203", &["n003"]),
        ("shard=s1,s2", &["n001", "n002", "n004"]),
        ("sharded=False", &["n000"]),
        ("fault=power%20failure", &[]),
    ];
    for (query, wanted) in expectations {
        let fields = if query.is_empty() {
            "fields=name".to_owned()
        } else {
            format!("{query}&fields=name")
        };
        let found = world
            .get(&format!("/v1/nodes?{fields}"))
            .await
            .expect(200)
            .json();
        assert_eq!(names(&found), wanted, "{query}");
    }
    let children = world
        .get("/v1/nodes/n000/children")
        .await
        .expect(200)
        .json();
    assert_eq!(children["children"].as_array().map(Vec::len), Some(1));
    assert_eq!(children["links"]["rel"], "children");
    let shards = world.get("/v1/shards").await.expect(200).json();
    assert!(
        shards["shards"]
            .as_array()
            .expect("a list")
            .contains(&json!({"name": "None", "count": 1}))
    );
}

#[tokio::test]
async fn next_links_keep_their_filters_and_reach_every_node_once() {
    let world = World::with(|options| options.max_limit = 4);
    fleet(&world, 11).await;
    for query in [
        "resource_class=even&fields=name,uuid&limit=2",
        "resource_class=even&detail=True",
        "resource_class=even&fields=name&sort_key=driver&sort_dir=desc&limit=3",
        "resource_class=even&fields=name&sort_dir=desc&limit=1",
        "resource_class=even&fields=name&sort_key=name&limit=100",
    ] {
        let mut path = format!("/v1/nodes?{query}");
        let mut seen = Vec::new();
        for _ in 0..20 {
            let page = world.get(&path).await.expect(200).json();
            let found = names(&page);
            assert!(found.len() <= 4);
            seen.extend(found);
            let Some(next) = page.get("next") else {
                path.clear();
                break;
            };
            let next = next.as_str().expect("a link");
            assert!(next.contains("resource_class=even"), "{next}");
            path = next
                .strip_prefix("http://bm.example:6385")
                .expect("our own base")
                .to_owned();
        }
        assert!(path.is_empty(), "the pages never end");
        seen.sort();
        assert_eq!(
            seen,
            ["n000", "n002", "n004", "n006", "n008", "n010"],
            "{query}"
        );
    }
    let sorted = world
        .get("/v1/nodes?fields=name&sort_key=name&sort_dir=desc&limit=2")
        .await
        .json();
    assert_eq!(names(&sorted), ["n010", "n009"]);
}
