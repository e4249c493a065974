//! The client against the simulator, against a real Keystone, and against the schema that Nova publishes.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, outside the test functions that clippy exempts"
)]

mod faults;
mod peers;

use baton_compute::sim::{PASSWORD, Simulator, USER};
use baton_compute::{ComputeOptions, NovaClient};
use baton_config::sections::NovaSection;
use baton_model::env::Entropy;
use baton_model::node::power::PowerState;
use baton_model::port::compute::PowerUpdate;
use baton_model::secret::Secret;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use uuid::Uuid;

#[derive(Default)]
struct Count(AtomicU64);

impl Entropy for Count {
    fn next_u64(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

async fn simulator() -> Simulator {
    let address = ([127, 0, 0, 1], 0).into();
    Simulator::start(address).await.expect("a free port")
}

/// `[nova]` for a simulator.
fn section(simulator: &Simulator) -> NovaSection {
    NovaSection {
        auth_type: Some("password".into()),
        auth_url: Some(simulator.auth_url()),
        username: Some(USER.into()),
        password: Some(Secret::new(PASSWORD.to_owned())),
        project_name: Some("service".into()),
        timeout: Duration::from_secs(20),
        ..NovaSection::default()
    }
}

fn client(section: &NovaSection) -> NovaClient {
    let options = ComputeOptions::from_section(section).expect("sound");
    NovaClient::new(options.expect("configured"), Arc::new(Count::default())).expect("no files")
}

fn batch(numbers: impl IntoIterator<Item = u128>) -> Vec<PowerUpdate> {
    let update = |n| PowerUpdate {
        instance: Uuid::from_u128(n),
        state: PowerState::On,
    };
    numbers.into_iter().map(update).collect()
}
