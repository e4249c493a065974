//! Figures of the read path, printed. Ignored by default; `docs/bench.md` tells how they are taken. Run with
//! `cargo nextest run --release -p baton-api --run-ignored only --no-capture figures`.

use crate::world::World;
use axum::http::Method;
use baton_api::{ServeOptions, serve};
use serde_json::json;
use std::future::pending;
use std::thread;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::time::Instant;

const NODES: usize = 1000;
const SHOWS: u32 = 100_000;
const LISTS: u32 = 50;
const CLIENTS: u32 = 16;

async fn fleet() -> (World, String) {
    let world = World::with(|_| {});
    let mut last = String::new();
    for n in 0..NODES {
        let body = json!({
            "driver": "ipmi", "name": format!("compute-{n:05}"), "resource_class": "gold",
            "driver_info": {"ipmi_address": format!("10.0.{}.{}", n / 250, n % 250), "ipmi_username": "admin", "ipmi_password": "x"},
            "properties": {"cpus": 64, "memory_mb": 524_288, "local_gb": 960, "cpu_arch": "x86_64", "capabilities": "boot_mode:uefi"},
        });
        let made = world.post("/v1/nodes", body).await.expect(201).json();
        made["uuid"].as_str().expect("a uuid").clone_into(&mut last);
    }
    (world, last)
}

#[test]
#[ignore = "prints figures; meaningful in release builds only"]
fn figures_of_reads() {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (world, uuid) = fleet().await;
        let version = [("x-openstack-ironic-api-version", "1.109")];
        let path = format!("/v1/nodes/{uuid}");
        let begun = Instant::now();
        let mut bytes = 0;
        for _ in 0..SHOWS {
            let answer = world.raw(Method::GET, &path, &version, "").await;
            bytes += answer.body.len();
        }
        let took = begun.elapsed();
        eprintln!(
            "show, in process: {:.0}/s on one core ({} bytes each)",
            f64::from(SHOWS) / took.as_secs_f64(),
            bytes / usize::try_from(SHOWS).expect("fits")
        );
        for query in ["/v1/nodes", "/v1/nodes/detail", "/v1/nodes?fields=uuid,power_state,target_power_state,provision_state,target_provision_state,last_error,maintenance,properties,instance_uuid,traits,resource_class"] {
            let begun = Instant::now();
            let mut bytes = 0;
            for _ in 0..LISTS {
                bytes = world.raw(Method::GET, query, &version, "").await.expect(200).body.len();
            }
            eprintln!(
                "list of {NODES}: {:.2} ms, {bytes} bytes: {}",
                begun.elapsed().as_secs_f64() * 1000.0 / f64::from(LISTS),
                query.split('?').next().unwrap_or_default()
            );
        }
        over_a_socket(world, path).await;
    });
}

/// The server has this thread, its clients another.
async fn over_a_socket(world: World, path: String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let api = world.api.clone();
    let server = tokio::spawn(serve(
        listener,
        move |request| {
            let api = api.clone();
            async move { api.handle(request).await }
        },
        ServeOptions::default(),
        pending(),
    ));
    let (done, finished) = tokio::sync::oneshot::channel();
    let clients = thread::spawn(move || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let begun = Instant::now();
        runtime.block_on(async {
            let all = (0..CLIENTS).map(|_| client(address, &path, SHOWS / CLIENTS));
            futures_util::future::join_all(all).await;
        });
        assert_eq!(done.send(begun.elapsed()), Ok(()));
    });
    let took = finished.await.expect("the clients end");
    clients.join().expect("the clients end");
    server.abort();
    eprintln!(
        "show, over {CLIENTS} kept-alive connections: {:.0}/s with the server on one thread",
        f64::from(SHOWS) / took.as_secs_f64()
    );
}

async fn client(address: std::net::SocketAddr, path: &str, requests: u32) {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.set_nodelay(true).expect("set");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nX-OpenStack-Ironic-API-Version: 1.109\r\n\r\n"
    );
    let mut buffer = vec![0; 64 << 10];
    for _ in 0..requests {
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut filled = 0;
        let mut total = usize::MAX;
        while filled < total {
            filled += stream.read(&mut buffer[filled..]).await.expect("an answer");
            if total == usize::MAX
                && let Some(head) = buffer[..filled]
                    .windows(4)
                    .position(|four| four == b"\r\n\r\n")
            {
                let text = String::from_utf8_lossy(&buffer[..head]).to_lowercase();
                let length = text
                    .split("content-length: ")
                    .nth(1)
                    .and_then(|rest| rest.split("\r\n").next())
                    .and_then(|length| length.parse::<usize>().ok())
                    .expect("a length");
                total = head + 4 + length;
            }
        }
    }
}
