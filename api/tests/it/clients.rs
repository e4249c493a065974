//! The real clients, `baremetal` (python-ironicclient) and openstacksdk, against a server on a loopback socket.

use crate::world::World;
use baton_api::{ServeOptions, serve};
use baton_model::node::power::PowerState;
use baton_model::port::node::NodeError;
use serde_json::Value;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::oneshot;

/// A program of the clients' Python environment: on `PATH`, or in `.venv` at the root of the workspace.
fn program(name: &str) -> PathBuf {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../.venv/bin")
        .join(name);
    let path = std::env::vars_os()
        .find(|(key, _)| key == "PATH")
        .map(|(_, value)| value)
        .unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .chain([venv])
        .find(|file| file.is_file())
        .unwrap_or_else(|| {
            panic!(
                "`{name}` is missing. Install the clients: python3 -m venv .venv && .venv/bin/pip install \
                 python-ironicclient openstacksdk"
            )
        })
}

async fn with_server<F, A>(world: World, test: F)
where
    F: FnOnce(String) -> A,
    A: Future<Output = ()>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel::<()>();
    let api = world.api.clone();
    let server = tokio::spawn(serve(
        listener,
        move |request| {
            let api = api.clone();
            async move { api.handle(request).await }
        },
        ServeOptions::default(),
        async {
            drop(stopped.await);
        },
    ));
    test(format!("http://{address}")).await;
    drop(stop);
    server.await.expect("the server stops");
    drop(world);
}

async fn run(program: PathBuf, endpoint: &str, arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a directory");
    Command::new(program)
        .args(arguments)
        .env("OS_AUTH_TYPE", "none")
        .env("OS_ENDPOINT", endpoint)
        .env("HOME", home.path())
        .env_remove("HTTP_PROXY")
        .env_remove("http_proxy")
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .await
        .expect("it starts")
}

async fn baremetal(endpoint: &str, arguments: &[&str]) -> String {
    let output = run(program("baremetal"), endpoint, arguments).await;
    assert!(
        output.status.success(),
        "baremetal {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

async fn json(endpoint: &str, arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.extend(["-f", "json"]);
    let text = baremetal(endpoint, &all).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_enrolls_and_manages_nodes() {
    with_server(World::new(), async |endpoint| {
        let at = endpoint.as_str();
        let made = json(
            at,
            &[
                "node",
                "create",
                "--driver",
                "fake-hardware",
                "--name",
                "n1",
                "--driver-info",
                "ipmi_password=hunter2",
                "--property",
                "cpus=4",
                "--extra",
                "owner=me",
                "--resource-class",
                "gold",
            ],
        )
        .await;
        assert_eq!(made["name"], "n1");
        assert_eq!(made["driver_info"]["ipmi_password"], "******");
        baremetal(
            at,
            &[
                "node",
                "set",
                "n1",
                "--property",
                "memory_mb=1024",
                "--description",
                "text",
            ],
        )
        .await;
        baremetal(
            at,
            &["node", "unset", "n1", "--extra", "owner", "--description"],
        )
        .await;
        let shown = json(at, &["node", "show", "n1"]).await;
        assert_eq!(shown["properties"]["memory_mb"], 1024);
        assert_eq!(shown["extra"], serde_json::json!({}));
        assert_eq!(shown["description"], Value::Null);
        baremetal(at, &["node", "manage", "n1", "--wait", "30"]).await;
        baremetal(at, &["node", "provide", "n1", "--wait", "30"]).await;
        baremetal(at, &["node", "power", "on", "n1"]).await;
        let list = json(at, &["node", "list"]).await;
        assert_eq!(list[0]["name"], "n1", "{list}");
        assert_eq!(list[0]["power_state"], "power on");
        assert_eq!(list[0]["provision_state"], "available");
        baremetal(at, &["node", "maintenance", "set", "n1", "--reason", "fan"]).await;
        let shown = json(
            at,
            &[
                "node",
                "show",
                "n1",
                "--fields",
                "maintenance",
                "maintenance_reason",
            ],
        )
        .await;
        assert_eq!(shown["maintenance_reason"], "fan");
        baremetal(at, &["node", "maintenance", "unset", "n1"]).await;
        baremetal(at, &["node", "add", "trait", "n1", "CUSTOM_A"]).await;
        let validated = json(at, &["node", "validate", "n1"]).await;
        assert!(validated.as_array().is_some_and(|rows| rows.len() > 10));
        let drivers = json(at, &["driver", "list"]).await;
        assert_eq!(drivers[0]["name"], "fake-hardware");
        let conductors = json(at, &["conductor", "list"]).await;
        assert_eq!(conductors[0]["hostname"], "rack-1");
        assert_eq!(conductors[0]["alive"], true);
        for quiet in [
            &["port", "list"][..],
            &["chassis", "list"],
            &["allocation", "list"],
            &["node", "vif", "list", "n1"],
        ] {
            baremetal(at, quiet).await;
        }
        let refused = run(program("baremetal"), at, &["node", "show", "none"]).await;
        assert!(String::from_utf8_lossy(&refused.stderr).contains("Node none could not be found."));
        baremetal(at, &["node", "delete", "n1"]).await;
        assert_eq!(json(at, &["node", "list"]).await, serde_json::json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_keeps_objects() {
    let world = World::new();
    let node = world.node_after("n1", &["manage", "provide"]).await;
    world.power(node, PowerState::Off);
    let patch = serde_json::json!([{"op": "add", "path": "/resource_class", "value": "gold"}]);
    world.patch("/v1/nodes/n1", patch).await.expect(200);
    let id = node.to_string();
    let dir = tempfile::tempdir().expect("a directory");
    let steps = dir.path().join("steps.json");
    std::fs::write(
        &steps,
        r#"[{"interface": "bios", "step": "factory_reset", "args": {}, "priority": 10}]"#,
    )
    .expect("written");
    let ordered = dir.path().join("ordered.json");
    std::fs::write(
        &ordered,
        r#"[{"interface": "bios", "step": "factory_reset", "args": {}, "order": 1}]"#,
    )
    .expect("written");
    let steps = steps.to_string_lossy().into_owned();
    let ordered = ordered.to_string_lossy().into_owned();
    with_server(world, async |endpoint| {
        let at = endpoint.as_str();
        let chassis = json(at, &["chassis", "create", "--description", "row"]).await;
        let chassis = chassis["uuid"].as_str().expect("a uuid").to_owned();
        baremetal(at, &["node", "set", "n1", "--chassis-uuid", &chassis]).await;
        baremetal(at, &["chassis", "show", &chassis]).await;
        let group = json(
            at,
            &[
                "port",
                "group",
                "create",
                "--node",
                &id,
                "--name",
                "bond0",
                "--address",
                "52:54:00:00:00:aa",
            ],
        )
        .await;
        assert_eq!(group["mode"], "active-backup");
        let port = json(
            at,
            &[
                "port",
                "create",
                "52:54:00:00:00:01",
                "--node",
                &id,
                "--name",
                "eth0",
                "--physical-network",
                "pn1",
            ],
        )
        .await;
        assert_eq!(port["physical_network"], "pn1");
        baremetal(
            at,
            &[
                "port",
                "set",
                port["uuid"].as_str().expect("a uuid"),
                "--extra",
                "a=1",
            ],
        )
        .await;
        let shown = json(at, &["port", "show", "--address", "52:54:00:00:00:01"]).await;
        assert_eq!(shown["extra"]["a"], 1);
        let ports = json(at, &["port", "list", "--node", "n1"]).await;
        assert_eq!(ports.as_array().map(Vec::len), Some(1));
        let connector = json(
            at,
            &[
                "volume",
                "connector",
                "create",
                "--node",
                &id,
                "--type",
                "iqn",
                "--connector-id",
                "iqn.2017-07.org:1",
            ],
        )
        .await;
        assert_eq!(connector["type"], "iqn");
        baremetal(
            at,
            &[
                "volume",
                "target",
                "create",
                "--node",
                &id,
                "--type",
                "iscsi",
                "--volume-id",
                "v",
                "--boot-index",
                "0",
            ],
        )
        .await;
        assert_eq!(
            json(at, &["volume", "target", "list"]).await[0]["boot_index"],
            0
        );
        let claim = json(
            at,
            &[
                "allocation",
                "create",
                "--resource-class",
                "gold",
                "--name",
                "a1",
                "--wait",
                "20",
            ],
        )
        .await;
        assert_eq!(claim["state"], "active");
        assert_eq!(claim["node_uuid"], id);
        baremetal(at, &["allocation", "set", "a1", "--extra", "k=v"]).await;
        baremetal(at, &["allocation", "delete", "a1"]).await;
        baremetal(
            at,
            &[
                "deploy", "template", "create", "CUSTOM_T", "--steps", &steps,
            ],
        )
        .await;
        baremetal(
            at,
            &[
                "deploy", "template", "set", "CUSTOM_T", "--name", "CUSTOM_U",
            ],
        )
        .await;
        assert_eq!(
            json(at, &["deploy", "template", "list"]).await[0]["name"],
            "CUSTOM_U"
        );
        baremetal(
            at,
            &[
                "runbook", "create", "--name", "CUSTOM_R", "--steps", &ordered,
            ],
        )
        .await;
        assert_eq!(
            json(at, &["runbook", "show", "CUSTOM_R"]).await["public"],
            false
        );
        let history = json(at, &["node", "history", "list", "n1"]).await;
        assert!(
            history.as_array().is_some_and(|rows| !rows.is_empty()),
            "{history}"
        );
        for gone in [
            &["runbook", "delete", "CUSTOM_R"][..],
            &["deploy", "template", "delete", "CUSTOM_U"],
            &["port", "delete", port["uuid"].as_str().expect("a uuid")],
            &["port", "group", "delete", "bond0"],
        ] {
            baremetal(at, gone).await;
        }
    })
    .await;
}

/// What a user of openstacksdk does, with its own waiting.
const SDK: &str = r#"
import sys, openstack
bm = openstack.connection.Connection(
    auth_type="none", endpoint=sys.argv[1], baremetal_endpoint_override=sys.argv[1]).baremetal
node = bm.create_node(driver="fake-hardware", name="s1", driver_info={"ipmi_password": "x"})
assert node.provision_state == "enroll", node.provision_state
node = bm.set_node_provision_state(node, "manage", wait=True, timeout=30)
node = bm.set_node_provision_state(node, "provide", wait=True, timeout=30)
bm.set_node_power_state(node, "power on", wait=True, timeout=30)
node = bm.update_node(node, extra={"a": 1}, description="text")
assert bm.get_node("s1").extra == {"a": 1}
node = bm.update_node(node, description=None)
bm.set_node_maintenance(node, "fan")
assert bm.get_node(node.id).is_maintenance
bm.unset_node_maintenance(node)
bm.validate_node(node, required=("power",))
for n in range(25):
    bm.create_node(driver="fake-hardware", name="m%d" % n)
assert len(list(bm.nodes(limit=7))) == 26
assert len(list(bm.nodes(details=True))) == 26
assert [d.name for d in bm.drivers()][0] == "fake-hardware"
assert [c.hostname for c in bm.conductors()] == ["rack-1"]
assert list(bm.ports(details=True)) == []
bm.add_node_trait(node, "CUSTOM_A")
bm.delete_node(node)
assert bm.find_node("s1") is None
print("done")
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_drives_a_node() {
    with_server(World::new(), async |endpoint| {
        let python = program("baremetal").with_file_name("python");
        let output = run(python, &endpoint, &["-c", SDK, &endpoint]).await;
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_says_what_is_unavailable_and_tries_again() {
    let world = World::new();
    world.enroll("one").await;
    let owner = world.owner.clone();
    with_server(world, async |endpoint| {
        let unavailable = || NodeError::Unavailable {
            reason: "The cluster elects a leader.".into(),
            retry_after_s: 1,
        };
        *owner.trouble.lock().expect("fine") = Some(unavailable());
        let once = ["--max-retries", "1", "node", "power", "on", "one"];
        let output = run(program("baremetal"), &endpoint, &once).await;
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(words.contains("The cluster elects a leader."), "{words}");
        let often = [
            "--max-retries",
            "20",
            "--retry-interval",
            "1",
            "node",
            "power",
            "on",
            "one",
        ];
        let before = owner.asked.lock().expect("fine").len();
        let recovery = async {
            while owner.asked.lock().expect("fine").len() == before {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            *owner.trouble.lock().expect("fine") = None;
        };
        let ((), output) = tokio::join!(recovery, run(program("baremetal"), &endpoint, &often));
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}");
    })
    .await;
}
