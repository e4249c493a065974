//! Measures the BMC simulator: memory and CPU time of one process that serves thousands of BMCs, idle, under IPMI load
//! and under kept-alive TLS Redfish load. The load comes from this process; the farm runs in a child of its own.
//!
//! `cargo run --release -p baton-bmc --features sim --example sim_bench -- [ipmi] [redfish] [seconds]`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measuring tool reports on standard output and stops at the first surprise"
)]

use baton_bmc::ipmi::wire::command::Command as IpmiCommand;
use baton_bmc::ipmi::wire::crypto::{Exchange, SuiteFacts as _, TrafficKeys};
use baton_bmc::ipmi::wire::message::{CONSOLE_ADDRESS, Request};
use baton_bmc::ipmi::wire::packet::{Packet, PayloadType, decode, encode_setup};
use baton_bmc::ipmi::wire::rakp::{OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp3};
use baton_bmc::sim::{Farm, FarmConfig};
use baton_model::driver::ipmi::CipherSuite;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// Questions under way at once, over all BMCs.
const IN_FLIGHT: usize = 256;
/// TLS handshakes under way at once.
const HANDSHAKES: usize = 64;
/// Linux counts CPU time in hundredths of a second (`USER_HZ`).
const TICKS_PER_S: f64 = 100.0;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: u32| args.get(i).map_or(default, |n| n.parse().unwrap());
    if args.first().map(String::as_str) == Some("serve") {
        return serve(number(1, 0), number(2, 0));
    }
    let (ipmi, redfish, seconds) = (number(0, 5000), number(1, 5000), number(2, 5));
    let mut farm = Serving::start(ipmi, redfish);
    println!("{ipmi} IPMI and {redfish} Redfish BMCs in one process");
    println!(
        "{:<34}{:>10}{:>12}{:>14}{:>12}",
        "", "RSS MiB", "answers/s", "farm CPU-s/s", "us/answer"
    );
    farm.report("idle, fresh", 0, 1.0, 0.0);
    let length = Duration::from_secs(u64::from(seconds));
    if ipmi > 0 {
        for suite in [CipherSuite::Three, CipherSuite::Seventeen] {
            load_ipmi(&mut farm, ipmi, suite, length);
        }
    }
    if redfish > 0 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(load_redfish(&mut farm, redfish, length));
    }
    farm.child.kill().unwrap();
}

// --- The farm's process -------------------------------------------------------------------------

fn serve(ipmi: u32, redfish: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let config = FarmConfig {
            ipmi,
            redfish,
            ..FarmConfig::default()
        };
        let farm = Farm::start(config).await.unwrap();
        let ca = farm.ca_pem().unwrap_or_default().replace('\n', "|");
        println!("ready {ca}");
        std::io::stdout().flush().unwrap();
        std::future::pending::<()>().await;
        farm.stop().await;
    });
}

struct Serving {
    child: Child,
    ca: String,
}

impl Serving {
    fn start(ipmi: u32, redfish: u32) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["serve", &ipmi.to_string(), &redfish.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ca = line.strip_prefix("ready ").unwrap().replace('|', "\n");
        Self { child, ca }
    }

    fn cpu_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let after_name = stat.rsplit(')').next().unwrap();
        let ticks: f64 = after_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|n| n.parse::<f64>().unwrap())
            .sum();
        ticks / TICKS_PER_S
    }

    fn rss_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<f64>()
            .unwrap()
            / 1024.0
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of a short run")]
    fn report(&mut self, what: &str, answers: u64, elapsed_s: f64, cpu_s: f64) {
        let each = if answers == 0 {
            0.0
        } else {
            cpu_s * 1e6 / answers as f64
        };
        println!(
            "{what:<34}{:>10.1}{:>12.0}{:>14.2}{each:>12.1}",
            self.rss_mib(),
            answers as f64 / elapsed_s,
            cpu_s / elapsed_s,
        );
    }
}

// --- IPMI ---------------------------------------------------------------------------------------

struct Console {
    at: SocketAddr,
    bmc_id: u32,
    keys: TrafficKeys,
    sequence: u32,
}

fn exchange(socket: &UdpSocket, at: SocketAddr, datagram: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 1024];
    for _ in 0..10 {
        socket.send_to(datagram, at).unwrap();
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if from == at {
                return buffer[..length].to_vec();
            }
        }
    }
    panic!("{at} does not answer");
}

fn payload(answer: &[u8]) -> &[u8] {
    match decode(answer) {
        Ok(Packet::V20(packet)) => packet.payload,
        Ok(Packet::V15(_) | Packet::Asf(_)) | Err(_) => panic!("not RMCP+"),
    }
}

impl Console {
    fn login(socket: &UdpSocket, at: SocketAddr, suite: CipherSuite, console_id: u32) -> Self {
        let mut datagram = Vec::new();
        let request = OpenRequest {
            tag: 0,
            privilege: 4,
            console_id,
            algorithms: suite.algorithms(),
        };
        encode_setup(&mut datagram, PayloadType::OpenRequest, &request);
        let answer = exchange(socket, at, &datagram);
        let bmc_id = OpenResponse::decode(payload(&answer))
            .unwrap()
            .result
            .unwrap()
            .bmc_id;
        datagram.clear();
        let rakp1 = Rakp1 {
            tag: 1,
            bmc_id,
            console_random: [7; 16],
            role: 0x14,
            username: b"admin",
        };
        encode_setup(&mut datagram, PayloadType::Rakp1, &rakp1);
        let answer = exchange(socket, at, &datagram);
        let granted = Rakp2::decode(payload(&answer)).unwrap().result.unwrap();
        let keys = Exchange {
            suite,
            console_id,
            bmc_id,
            console_random: [7; 16],
            bmc_random: granted.bmc_random,
            guid: granted.guid,
            role: 0x14,
            username: b"admin",
        };
        datagram.clear();
        let code = keys.rakp3_code(b"password");
        let rakp3 = Rakp3 {
            tag: 2,
            bmc_id,
            result: Ok(code.as_bytes()),
        };
        encode_setup(&mut datagram, PayloadType::Rakp3, &rakp3);
        exchange(socket, at, &datagram);
        Self {
            at,
            bmc_id,
            keys: keys.session_keys(b"password", None).traffic,
            sequence: 0,
        }
    }

    fn ask(&mut self, socket: &UdpSocket, datagram: &mut Vec<u8>) {
        self.sequence += 1;
        let command = IpmiCommand::GetChassisStatus;
        let request = Request {
            netfn: command.netfn(),
            lun: 0,
            sequence: 1,
            requester: CONSOLE_ADDRESS,
            command: command.number(),
            data: &[],
        };
        datagram.clear();
        self.keys.seal(
            datagram,
            PayloadType::Ipmi,
            self.bmc_id,
            self.sequence,
            [5; 16],
            &request,
        );
        socket.send_to(datagram, self.at).unwrap();
    }
}

fn load_ipmi(farm: &mut Serving, count: u32, suite: CipherSuite, length: Duration) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let first = Ipv4Addr::new(127, 1, 0, 1).to_bits();
    let (start, cpu) = (Instant::now(), farm.cpu_s());
    let mut consoles: Vec<_> = (0..count)
        .map(|i| {
            let at = SocketAddr::new(Ipv4Addr::from_bits(first + i).into(), 6230);
            Console::login(&socket, at, suite, i + 1)
        })
        .collect();
    farm.report(
        &format!("IPMI logins, suite {}", suite.number()),
        u64::from(count),
        start.elapsed().as_secs_f64(),
        farm.cpu_s() - cpu,
    );
    let mut datagram = Vec::new();
    let mut buffer = [0; 1024];
    let (start, cpu) = (Instant::now(), farm.cpu_s());
    let (mut answers, mut lost, mut next) = (0_u64, 0_u64, 0);
    for console in consoles.iter_mut().take(IN_FLIGHT) {
        console.ask(&socket, &mut datagram);
        next += 1;
    }
    while start.elapsed() < length {
        let count = consoles.len();
        match socket.recv_from(&mut buffer) {
            Ok((length, _)) if length > 60 => answers += 1,
            Ok(_) => continue,
            Err(_) => lost += 1,
        }
        consoles[next % count].ask(&socket, &mut datagram);
        next += 1;
    }
    farm.report(
        &format!("IPMI warm reads, suite {}", suite.number()),
        answers,
        start.elapsed().as_secs_f64(),
        farm.cpu_s() - cpu,
    );
    if lost > 0 {
        println!("  {lost} times no answer within 200 ms");
    }
}

// --- Redfish ------------------------------------------------------------------------------------

async fn load_redfish(farm: &mut Serving, count: u32, length: Duration) {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(farm.ca.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let first = Ipv4Addr::new(127, 2, 0, 1).to_bits();
    let (stop, answers) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let (handshakes, go) = (
        Arc::new(Semaphore::new(HANDSHAKES)),
        Arc::new(Semaphore::new(0)),
    );
    let mut tasks = Vec::new();
    let (start, cpu) = (Instant::now(), farm.cpu_s());
    let connected = Arc::new(AtomicU64::new(0));
    for i in 0..count {
        let at = SocketAddr::new(Ipv4Addr::from_bits(first + i).into(), 8443);
        let (connector, stop, answers) =
            (connector.clone(), Arc::clone(&stop), Arc::clone(&answers));
        let (handshakes, go) = (Arc::clone(&handshakes), Arc::clone(&go));
        let connected = Arc::clone(&connected);
        tasks.push(tokio::spawn(async move {
            let permit = handshakes.acquire().await.unwrap();
            let stream = TcpStream::connect(at).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut stream = connector.connect(ServerName::IpAddress(at.ip().into()), stream).await.unwrap();
            let request = format!(
                "GET /redfish/v1/Systems/1 HTTP/1.1\r\nHost: {at}\r\nAuthorization: Basic YWRtaW46cGFzc3dvcmQ=\r\n\r\n"
            );
            let mut buffer = vec![0; 4096];
            ask(&mut stream, request.as_bytes(), &mut buffer).await;
            drop(permit);
            connected.fetch_add(1, Ordering::Relaxed);
            while !stop.load(Ordering::Relaxed) {
                let turn = go.acquire().await.unwrap();
                ask(&mut stream, request.as_bytes(), &mut buffer).await;
                answers.fetch_add(1, Ordering::Relaxed);
                drop(turn);
                tokio::task::yield_now().await;
            }
        }));
    }
    while connected.load(Ordering::Relaxed) < u64::from(count) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    farm.report(
        "TLS connections with one read",
        u64::from(count),
        start.elapsed().as_secs_f64(),
        farm.cpu_s() - cpu,
    );
    farm.report("all connections kept alive", 0, 1.0, 0.0);
    let (start, cpu) = (Instant::now(), farm.cpu_s());
    go.add_permits(64);
    tokio::time::sleep(length).await;
    let elapsed = start.elapsed().as_secs_f64();
    farm.report(
        "Redfish kept-alive TLS reads",
        answers.load(Ordering::Relaxed),
        elapsed,
        farm.cpu_s() - cpu,
    );
    stop.store(true, Ordering::Relaxed);
    go.add_permits(usize::try_from(count).unwrap());
    for task in tasks {
        task.await.unwrap();
    }
    farm.report("idle again, connections closed", 0, 1.0, 0.0);
}

async fn ask(
    stream: &mut tokio_rustls::client::TlsStream<TcpStream>,
    request: &[u8],
    buffer: &mut [u8],
) {
    stream.write_all(request).await.unwrap();
    stream.flush().await.unwrap();
    let mut filled = 0;
    loop {
        let got = stream.read(&mut buffer[filled..]).await.unwrap();
        assert!(got > 0, "the farm closed the connection");
        filled += got;
        let text = &buffer[..filled];
        assert!(
            text.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(text)
        );
        if text.ends_with(b"}]}}") {
            return;
        }
    }
}
