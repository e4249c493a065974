//! Basic authentication and TLS, as clients meet them.

use crate::world::World;
use axum::http::Method;
use baton_api::{Auth, Certificate, ServeOptions, serve};
use rcgen::{CertificateParams, KeyPair};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// `me:secret` with the cheapest hash that bcrypt has.
fn users(dir: &Path, password: &str) -> std::path::PathBuf {
    let file = dir.join("htpasswd");
    let hash = bcrypt::hash_with_salt(password, 4, *b"0123456789abcdef").expect("a hash");
    let hash = hash.format_for_version(bcrypt::Version::TwoY);
    std::fs::write(&file, format!("# users\nme:{hash}\nold:$apr1$x$y\n")).expect("written");
    file
}

/// The header of `user:password`.
fn basic(pair: &str) -> String {
    use base64::Engine as _;
    let token = base64::engine::general_purpose::STANDARD.encode(pair);
    format!("Basic {token}")
}

#[tokio::test]
async fn only_known_users_get_in() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = users(dir.path(), "secret");
    let world = World::with(|options| options.auth = Auth::HttpBasic(file));
    let ask = async |path: &str, header: Option<&str>| {
        let version = ("x-openstack-ironic-api-version", "1.80");
        let mut headers = vec![version];
        headers.extend(header.map(|header| ("authorization", header)));
        world.raw(Method::GET, path, &headers, "").await
    };
    for public in ["/", "/v1", "/v1/"] {
        ask(public, None).await.expect(200);
    }
    // No credentials are needed to be told that there is nothing.
    ask("/v1/lookup", None).await.expect(404);
    // Everything else, known or not, wants them first.
    for path in ["/v1/nodes", "/nodes", "/lookup", "/v1/zz", "/v2"] {
        let refused = ask(path, None).await.expect(401);
        assert_eq!(
            refused.header("www-authenticate"),
            "Basic realm=\"Baremetal API\""
        );
        let body = String::from_utf8_lossy(&refused.body).into_owned();
        assert_eq!(
            body,
            r#"{"error": {"message": "Authorization required", "code": 401}}"#
        );
    }
    let right = basic("me:secret");
    for _ in 0..2 {
        ask("/v1/nodes", Some(&right)).await.expect(200);
    }
    for wrong in ["me:Secret", "you:secret", "me:", ":", "me:secret2"] {
        let refused = ask("/v1/nodes", Some(&basic(wrong))).await.expect(401);
        assert!(
            String::from_utf8_lossy(&refused.body).contains("Incorrect username or password"),
            "{wrong}"
        );
    }
    ask("/v1/nodes", Some("Bearer x")).await.expect(400);
    ask("/v1/nodes", Some("Basic")).await.expect(400);
    // A hash of another kind is the operator's mistake.
    ask("/v1/nodes", Some(&basic("old:x"))).await.expect(500);
}

/// What curl gets from a server with this certificate.
fn curl(authority: &Path, port: u16, path: &str) -> Option<String> {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--noproxy",
            "*",
        ])
        .args(["--resolve", &format!("bm.example:{port}:127.0.0.1")])
        .arg("--cacert")
        .arg(authority)
        .arg(format!("https://bm.example:{port}{path}"))
        .output()
        .expect("curl is there");
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Writes a new self-signed certificate with its key, and sets the files' times apart from older ones.
fn renew(dir: &Path, age: u64) {
    let params = CertificateParams::new(["bm.example".to_owned()]).expect("a name");
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    for (name, text) in [
        ("cert.pem", certificate.pem()),
        ("key.pem", key.serialize_pem()),
    ] {
        let path = dir.join(name);
        std::fs::write(&path, text).expect("written");
        let file = std::fs::File::options()
            .write(true)
            .open(&path)
            .expect("there");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + age);
        file.set_modified(time).expect("a time");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_spoken_and_a_renewed_certificate_taken_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_owned();
    renew(&path, 0);
    let former = path.join("former.pem");
    std::fs::copy(path.join("cert.pem"), &former).expect("copied");
    let certificate = Certificate::load(path.join("cert.pem"), path.join("key.pem"));
    let options = ServeOptions {
        tls: Some(Arc::new(certificate.expect("good files"))),
        ..ServeOptions::default()
    };
    let world = World::with(|options| options.tls = true);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let (stop, stopped) = oneshot::channel::<()>();
    let api = world.api.clone();
    let server = tokio::spawn(serve(
        listener,
        move |request| {
            let api = api.clone();
            async move { api.handle(request).await }
        },
        options,
        async {
            drop(stopped.await);
        },
    ));
    let get = {
        let path = path.clone();
        move |name: &'static str| {
            let authority = path.join(name);
            tokio::task::spawn_blocking(move || curl(&authority, port, "/v1"))
        }
    };
    let root = get("cert.pem").await.expect("no panic").expect("an answer");
    assert!(
        root.contains(&format!("https://bm.example:{port}/v1/")),
        "{root}"
    );
    renew(&path, 60);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while get("cert.pem").await.expect("no panic").is_none() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the new certificate never came"
        );
    }
    assert_eq!(get("former.pem").await.expect("no panic"), None);
    drop(stop);
    server.await.expect("the server stops");
}
