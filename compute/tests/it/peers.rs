//! The real ones: Keystone for tokens and catalogs, Nova's schema for requests. `scripts/setup` installs both.

use super::{Count, batch};
use baton_compute::sim::Simulator;
use baton_compute::{ComputeOptions, NovaClient};
use baton_config::sections::NovaSection;
use baton_model::port::compute::{Compute, ComputeError, ItemResult};
use baton_model::secret::Secret;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// The interpreter beside this tool, so that the tool's packages are there.
fn python(tool: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).find(|dir| dir.join(tool).is_file());
    let dir = found.unwrap_or_else(|| panic!("{tool} is not installed; run scripts/setup"));
    dir.join("python3")
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/peers")
        .join(name)
}

struct Keystone {
    child: Child,
    url: String,
    credential: (String, String),
}

impl Drop for Keystone {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Keystone {
    /// A Keystone over SQLite in `dir`, whose catalog names `compute` as the compute service of region `one`.
    fn start(dir: &Path, compute: &str) -> Self {
        let mut child = Command::new(python("keystone-manage"))
            .arg(script("run_keystone.py"))
            .arg(dir)
            .arg(compute)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(dir.join("keystone.log")).unwrap())
            .spawn()
            .unwrap();
        // Keystone logs to the same place.
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("READY ").map(str::to_owned));
        let Some(ready) = ready else {
            let log = std::fs::read_to_string(dir.join("keystone.log")).unwrap_or_default();
            panic!("keystone did not start:\n{log}");
        };
        let words: Vec<&str> = ready.split_whitespace().collect();
        let [url, id, secret] = words[..] else {
            panic!("{ready}");
        };
        Self {
            child,
            url: url.to_owned(),
            credential: (id.to_owned(), secret.to_owned()),
        }
    }
}

fn client(nova: &NovaSection) -> NovaClient {
    let options = ComputeOptions::from_section(nova).unwrap().unwrap();
    NovaClient::new(options, Arc::new(Count::default())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_keystone_gives_tokens_by_each_method_and_its_catalog_leads_to_the_service() {
    let simulator = Simulator::start(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let compute = format!("http://{}/compute/v2.1", simulator.address());
    let keystone = Keystone::start(dir.path(), &compute);
    let password = NovaSection {
        auth_type: Some("password".into()),
        auth_url: Some(keystone.url.clone()),
        username: Some("admin".into()),
        password: Some(Secret::new("s3cret".to_owned())),
        user_domain_name: Some("Default".into()),
        project_name: Some("admin".into()),
        project_domain_name: Some("Default".into()),
        region_name: Some("one".into()),
        timeout: Duration::from_secs(60),
        ..NovaSection::default()
    };
    let credential = NovaSection {
        auth_type: Some("v3applicationcredential".into()),
        auth_url: Some(format!("{}/v3", keystone.url)),
        application_credential_id: Some(keystone.credential.0.clone()),
        application_credential_secret: Some(Secret::new(keystone.credential.1.clone())),
        valid_interfaces: vec!["public".into()],
        timeout: Duration::from_secs(60),
        ..NovaSection::default()
    };
    for nova in [&password, &credential] {
        // The simulated service knows none of Keystone's tokens: reaching it is the point, and 401 its answer, even to a
        // second token.
        let refused = client(nova).power_update(&batch([1]), &|| true).await;
        assert!(
            matches!(&refused, Err(ComputeError::Refused { code: 401, .. })),
            "{refused:?}"
        );
    }
    assert_eq!(simulator.tokens_issued(), 0);

    let wrong = NovaSection {
        password: Some(Secret::new("wrong".to_owned())),
        ..password.clone()
    };
    let refused = client(&wrong).power_update(&batch([1]), &|| true).await;
    let text = format!("{refused:?}");
    assert!(
        text.contains("no token from") && text.contains("requires authentication"),
        "{text}"
    );
    let elsewhere = NovaSection {
        region_name: Some("two".into()),
        ..password
    };
    let refused = client(&elsewhere).power_update(&batch([1]), &|| true).await;
    assert!(
        format!("{refused:?}").contains("internal in one"),
        "{refused:?}"
    );
}

/// What the client sends, checked by Nova's own schema, and what Nova's schema allows as an answer, read by the client.
#[tokio::test(flavor = "multi_thread")]
async fn requests_and_answers_fit_the_schema_that_nova_publishes() {
    let mut child = Command::new(python("nova-status"))
        .arg(script("run_nova.py"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let nova = NovaSection {
        auth_type: Some("none".into()),
        endpoint_override: Some(line.trim().to_owned()),
        timeout: Duration::from_secs(60),
        ..NovaSection::default()
    };
    // It answers 400 to what its schema refuses, and each third event with 404.
    let results = client(&nova).power_update(&batch(0..7), &|| true).await;
    drop(child.kill());
    drop(child.wait());
    let codes = [404, 200, 200, 404, 200, 200, 404].map(ItemResult);
    assert_eq!(results, Ok(codes.to_vec()));
}
