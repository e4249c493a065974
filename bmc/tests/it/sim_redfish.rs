//! The simulator's Redfish on real sockets: TLS with its own authority, resumption, layouts, and broken connections.

use baton_bmc::sim::{Farm, FarmConfig, Fault, Layout};
use baton_model::port::bmc::PowerReading;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::CONNECTION;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const ADDRESSES: Layout = Layout::Addresses {
    first: Ipv4Addr::new(127, 2, 0, 1),
    port: 0,
};

async fn farm(layout: Layout) -> Farm {
    let config = FarmConfig {
        redfish: 3,
        redfish_layout: layout,
        ..FarmConfig::default()
    };
    Farm::start(config).await.unwrap()
}

/// Trusts the farm's authority and nothing else.
fn trust(farm: &Farm) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(farm.ca_pem().unwrap().as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

struct Got {
    status: u16,
    token: Option<String>,
    body: Bytes,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One request on a connection of its own.
async fn once(
    tls: &Arc<ClientConfig>,
    at: SocketAddr,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> Result<Got, Failure> {
    let stream = TcpStream::connect(at).await?;
    let name = ServerName::IpAddress(at.ip().into());
    let stream = TlsConnector::from(Arc::clone(tls))
        .connect(name, stream)
        .await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(CONNECTION, "close");
    if let Some(token) = token {
        request = request.header("X-Auth-Token", token);
    }
    let response = sender
        .send_request(request.body(Full::new(Bytes::from(body.to_owned())))?)
        .await?;
    let status = response.status().as_u16();
    let token = response
        .headers()
        .get("X-Auth-Token")
        .map(|token| token.to_str().map(str::to_owned))
        .transpose()?;
    let body = response.into_body().collect().await?.to_bytes();
    connection.await??;
    Ok(Got {
        status,
        token,
        body,
    })
}

const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";
const SYSTEM: &str = "/redfish/v1/Systems/1";
const LOGIN: &str = r#"{"UserName":"admin","Password":"password"}"#;

fn place(farm: &Farm, machine: u32) -> SocketAddr {
    let address = farm.machine(machine).unwrap().redfish.unwrap();
    address
        .strip_prefix("https://")
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_session_over_verified_tls_turns_a_machine_on() {
    let ports = Layout::Ports {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        first: 0,
    };
    let paths = Layout::Paths {
        at: (Ipv4Addr::LOCALHOST, 0).into(),
    };
    for layout in [ADDRESSES, ports, paths] {
        let farm = farm(layout).await;
        let (tls, at) = (trust(&farm), place(&farm, 2));
        let info = farm.machine(2).unwrap();
        let system = info.redfish_system_id.unwrap();
        let prefix = system.strip_suffix(SYSTEM).unwrap();
        let sessions = format!("{prefix}{SESSIONS}");
        let login = once(&tls, at, Method::POST, &sessions, None, LOGIN)
            .await
            .unwrap();
        assert_eq!(login.status, 201);
        let token = login.token.as_deref();
        let got = once(&tls, at, Method::GET, &system, token, "")
            .await
            .unwrap();
        let shown: Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!(shown["PowerState"], "Off");
        let reset = shown["Actions"]["#ComputerSystem.Reset"]["target"]
            .as_str()
            .unwrap();
        let on = r#"{"ResetType":"On"}"#;
        assert_eq!(
            once(&tls, at, Method::POST, reset, token, on)
                .await
                .unwrap()
                .status,
            204
        );
        assert_eq!(farm.power(2), Some(PowerReading::On));
        assert_eq!(farm.power(1), Some(PowerReading::Off));
        let totals = farm.totals();
        assert_eq!((totals.handshakes_full, totals.handshakes_resumed), (1, 2));
        farm.stop().await;
    }
}

#[tokio::test]
async fn broken_answers_break_the_client_and_nothing_else() {
    let farm = farm(ADDRESSES).await;
    let (tls, at) = (trust(&farm), place(&farm, 0));
    let root = "/redfish/v1/";
    farm.inject(0, Fault::ResetMidBody { fraction: 1.0 })
        .unwrap();
    assert!(once(&tls, at, Method::GET, root, None, "").await.is_err());
    farm.heal(0);
    farm.inject(0, Fault::Garbage { fraction: 1.0 }).unwrap();
    let got = once(&tls, at, Method::GET, root, None, "").await.unwrap();
    assert!(serde_json::from_slice::<Value>(&got.body).is_err());
    farm.heal(0);
    farm.inject(0, Fault::Reboot { for_ms: 86_400_000 })
        .unwrap();
    assert!(once(&tls, at, Method::GET, root, None, "").await.is_err());
    farm.heal(0);
    farm.inject(0, Fault::OldTls).unwrap();
    let error = once(&tls, at, Method::GET, root, None, "")
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    farm.heal(0);
    farm.inject(0, Fault::ChangedCertificate).unwrap();
    let fresh = trust(&farm);
    let error = once(&fresh, at, Method::GET, root, None, "")
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("certificate"), "{error}");
    farm.heal(0);
    assert_eq!(
        once(&tls, at, Method::GET, root, None, "")
            .await
            .unwrap()
            .status,
        200
    );
    farm.stop().await;
}

#[tokio::test]
async fn a_silent_bmc_keeps_the_client_waiting() {
    let farm = farm(ADDRESSES).await;
    let (tls, at) = (trust(&farm), place(&farm, 0));
    farm.inject(0, Fault::Silent).unwrap();
    let asked = once(&tls, at, Method::GET, "/redfish/v1/", None, "");
    let arrived = async {
        while farm.totals().connections == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = asked => panic!("it answered"),
        () = arrived => {}
    }
    let neighbour = place(&farm, 1);
    assert_eq!(
        once(&tls, neighbour, Method::GET, "/redfish/v1/", None, "")
            .await
            .unwrap()
            .status,
        200
    );
    farm.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let first = farm(ADDRESSES).await;
    let port = place(&first, 0).port();
    let config = FarmConfig {
        redfish: 1,
        redfish_layout: Layout::Addresses {
            first: Ipv4Addr::new(127, 2, 0, 1),
            port,
        },
        ..FarmConfig::default()
    };
    let error = Farm::start(config).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        format!("cannot listen on 0.0.0.0:{port} for simulated Redfish")
    );
    first.stop().await;
}
