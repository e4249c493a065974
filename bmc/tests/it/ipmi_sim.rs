//! The IPMI client against `ipmi_sim` of OpenIPMI, a BMC that we did not write. It speaks cipher suite 3 and refuses
//! 17, so the search for a suite is exercised as well.

use baton_bmc::ipmi::{IpmiClient, IpmiSettings};
use baton_model::driver::ipmi::{CipherSuite, IpmiProtocol, IpmiTarget, Privilege};
use baton_model::env::Entropy;
use baton_model::node::boot::{BootDevice, BootMode, BootOrder, BootState};
use baton_model::port::bmc::{BmcError, PowerAction, PowerReading};
use baton_model::secret::Secret;
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// Budget of one call. Everything is local; the rest is for a machine that runs other tests too.
const BUDGET: Duration = Duration::from_secs(10);
/// Until when a condition must hold.
const PATIENCE: Duration = Duration::from_secs(20);

/// Chance for tests: different on every draw, which is all they need.
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn next_u64(&self) -> u64 {
        self.0
            .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed)
            .rotate_left(17)
    }
}

pub(crate) fn client() -> IpmiClient {
    let entropy = Counting(AtomicU64::new(u64::from(std::process::id())));
    IpmiClient::start(&IpmiSettings::default(), &entropy).unwrap()
}

/// A running `ipmi_sim`. It ends with the test.
struct Sim {
    child: Child,
    dir: TempDir,
    port: u16,
}

impl Drop for Sim {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to do then.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Called as `<script> 0x20 get power`, `… set power 0`, `… set reset 1` and so on; keeps the state in a file and a
/// log of all calls.
fn control_script(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "#!/bin/sh\n\
         echo \"$@\" >> {dir}/log\n\
         shift\n\
         case \"$1 $2\" in\n\
         'get power') printf 'power:%s\\n' \"$(cat {dir}/power)\" ;;\n\
         'set power') echo \"$3\" > {dir}/power ;;\n\
         'get boot') printf 'boot:%s\\n' \"$(cat {dir}/boot)\" ;;\n\
         'set boot') echo \"$3\" > {dir}/boot ;;\n\
         esac\n"
    )
}

impl Sim {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let port = UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .unwrap()
            .port();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("state")).unwrap();
        fs::write(at("power"), "1\n").unwrap();
        fs::write(at("boot"), "none\n").unwrap();
        fs::write(at("log"), "").unwrap();
        fs::write(at("control.sh"), control_script(dir.path())).unwrap();
        fs::set_permissions(at("control.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        let auths = "none md2 md5 straight";
        fs::write(
            at("lan.conf"),
            format!(
                "name \"machine\"\n\
                 set_working_mc 0x20\n\
                 startlan 1\n\
                 addr 127.0.0.1 {port}\n\
                 priv_limit admin\n\
                 allowed_auths_callback {auths}\n\
                 allowed_auths_user {auths}\n\
                 allowed_auths_operator {auths}\n\
                 allowed_auths_admin {auths}\n\
                 guid a123456789abcdefa123456789abcdef\n\
                 endlan\n\
                 chassis_control \"{} 0x20\"\n\
                 user 2 true \"admin\" \"secret\" admin 10 {auths}\n\
                 user 3 true \"reader\" \"secret\" user 10 {auths}\n",
                at("control.sh").display()
            ),
        )
        .unwrap();
        fs::write(
            at("machine.emu"),
            "mc_setbmc 0x20\n\
             mc_add 0x20 0x21 no-device-sdrs 0x23 9 8 0x9f 0x0002a2 0xf02\n\
             mc_enable 0x20\n",
        )
        .unwrap();
        let child = Command::new("ipmi_sim")
            .arg("-c")
            .arg(at("lan.conf"))
            .arg("-f")
            .arg(at("machine.emu"))
            .arg("-s")
            .arg(at("state"))
            .arg("-n")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "ipmi_sim does not start ({error}): install the Debian package `openipmi`, \
                     for instance with `apt-get install openipmi`"
                )
            });
        let sim = Self { child, dir, port };
        sim.until_it_answers().await;
        sim
    }

    async fn until_it_answers(&self) {
        let client = client();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match client
                .power_state(&self.target(), Duration::from_millis(500))
                .await
            {
                Ok(_) => break,
                Err(error) => assert!(
                    Instant::now() < deadline,
                    "ipmi_sim does not answer: {error}"
                ),
            }
        }
        client.close(BUDGET).await;
    }

    fn target(&self) -> Arc<IpmiTarget> {
        self.target_of("admin", "secret", Some(CipherSuite::Three))
    }

    fn target_of(&self, user: &str, password: &str, suite: Option<CipherSuite>) -> Arc<IpmiTarget> {
        Arc::new(IpmiTarget {
            address: "127.0.0.1".into(),
            port: self.port,
            username: user.into(),
            password: Secret::new(password.into()),
            privilege: Privilege::Administrator,
            protocol: IpmiProtocol::V2_0,
            cipher_suite: suite,
            kg: None,
            keep_boot: None,
        })
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    fn count(&self, line: &str) -> usize {
        self.log().lines().filter(|found| *found == line).count()
    }
}

#[tokio::test]
async fn power_is_read_and_changed() {
    let sim = Sim::start().await;
    let (client, target) = (client(), sim.target());
    assert_eq!(
        client.power_state(&target, BUDGET).await,
        Ok(PowerReading::On)
    );
    assert_eq!(
        client.power_action(&target, PowerAction::Off, BUDGET).await,
        Ok(())
    );
    assert_eq!(
        client.power_state(&target, BUDGET).await,
        Ok(PowerReading::Off)
    );
    assert_eq!(
        client.power_action(&target, PowerAction::On, BUDGET).await,
        Ok(())
    );
    assert_eq!(
        client.power_state(&target, BUDGET).await,
        Ok(PowerReading::On)
    );
    for (action, line) in [
        (PowerAction::Reset, "0x20 set reset 1"),
        (PowerAction::SoftOff, "0x20 set shutdown 1"),
    ] {
        let before = sim.count(line);
        assert_eq!(client.power_action(&target, action, BUDGET).await, Ok(()));
        assert_eq!(sim.count(line), before + 1, "{}", sim.log());
    }
    let offs = sim.count("0x20 set power 0");
    assert_eq!(
        client
            .power_action(&target, PowerAction::Cycle, BUDGET)
            .await,
        Ok(())
    );
    assert_eq!(sim.count("0x20 set power 0"), offs + 1, "{}", sim.log());
    let stats = client.stats();
    assert_eq!(
        (stats.garbage, stats.forged, stats.replayed),
        (0, 0, 0),
        "{stats:?}"
    );
    assert_eq!(stats.warm_sessions, 1);
    client.close(BUDGET).await;
    assert_eq!(client.stats().warm_sessions, 0);
}

#[tokio::test]
async fn the_suite_is_found_and_the_bmc_named() {
    let sim = Sim::start().await;
    let client = client();
    let target = sim.target_of("admin", "secret", None);
    let identity = client.identify(&target, BUDGET).await.unwrap();
    assert_eq!(identity.vendor.as_deref(), Some("dell inc"));
    assert_eq!(identity.firmware.as_deref(), Some("9.08"));
    client.forget(&target).await;
    let fixed = sim.target_of("admin", "secret", Some(CipherSuite::Seventeen));
    let error = client.power_state(&fixed, BUDGET).await.unwrap_err();
    assert!(matches!(error, BmcError::Misconfigured { .. }), "{error}");
}

#[tokio::test]
async fn wrong_credentials_are_refused() {
    let sim = Sim::start().await;
    let client = client();
    for (user, password) in [("admin", "wrong"), ("nobody", "secret"), ("admin", "")] {
        let target = sim.target_of(user, password, Some(CipherSuite::Three));
        let error = client.power_state(&target, BUDGET).await.unwrap_err();
        assert!(
            matches!(&error, BmcError::Refused { username, .. } if &**username == user),
            "{user}/{password}: {error}"
        );
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
    // The right ones work at once, on the same sockets.
    assert_eq!(
        client.power_state(&sim.target(), BUDGET).await,
        Ok(PowerReading::On)
    );
}

#[tokio::test]
async fn a_user_without_rights_is_told_so() {
    let sim = Sim::start().await;
    let client = client();
    let mut reader = (*sim.target_of("reader", "secret", Some(CipherSuite::Three))).clone();
    reader.privilege = Privilege::User;
    let reader = Arc::new(reader);
    assert_eq!(
        client.power_state(&reader, BUDGET).await,
        Ok(PowerReading::On)
    );
    let error = client
        .power_action(&reader, PowerAction::Off, BUDGET)
        .await
        .unwrap_err();
    assert!(matches!(error, BmcError::Declined { .. }), "{error}");
    assert_eq!(
        client.power_state(&reader, BUDGET).await,
        Ok(PowerReading::On)
    );
}

#[tokio::test]
async fn a_successor_ends_the_session_of_its_predecessor() {
    let sim = Sim::start().await;
    let (old, new, target) = (client(), client(), sim.target());
    let ids = old.open_session(&target, BUDGET).await.unwrap();
    assert_eq!(old.session_ids(&target), Some(ids));
    assert_eq!(
        new.close_session_by_id(&target, ids.bmc, BUDGET).await,
        Ok(true)
    );
    // The old owner's next command goes unheard in its session, and it opens a new one.
    assert_eq!(old.power_state(&target, BUDGET).await, Ok(PowerReading::On));
    assert_ne!(old.session_ids(&target), Some(ids));
}

#[tokio::test]
async fn calls_to_one_bmc_take_turns_and_dropped_ones_leave_no_trace() {
    let sim = Sim::start().await;
    let (client, target) = (client(), sim.target());
    let reads = (0..8).map(|_| client.power_state(&target, BUDGET));
    for result in futures_util::future::join_all(reads).await {
        assert_eq!(result, Ok(PowerReading::On));
    }
    for _ in 0..20 {
        tokio::select! {
            biased;
            _ = client.power_state(&target, BUDGET) => {}
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(
        client.power_state(&target, BUDGET).await,
        Ok(PowerReading::On)
    );
}

#[tokio::test]
async fn a_dead_bmc_costs_its_budget() {
    let client = client();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = Arc::new(IpmiTarget {
        address: "127.0.0.1".into(),
        port: socket.local_addr().unwrap().port(),
        username: "".into(),
        password: Secret::default(),
        privilege: Privilege::Administrator,
        protocol: IpmiProtocol::V2_0,
        cipher_suite: None,
        kg: None,
        keep_boot: None,
    });
    let budget = Duration::from_millis(700);
    let error = client.power_state(&target, budget).await.unwrap_err();
    assert!(
        matches!(&error, BmcError::Silent { within, attempts, .. } if *within == budget && *attempts >= 2),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("power status"), "{text}");
}

/// `ipmi_sim` hands the device to its machine. It never marks its flags as valid, so reading them back tells nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boot_devices_reach_the_machine() {
    let sim = Sim::start().await;
    let (client, target) = (client(), sim.target());
    for (device, word) in [
        (BootDevice::Pxe, "pxe"),
        (BootDevice::Disk, "default"),
        (BootDevice::Cdrom, "cdrom"),
        (BootDevice::Bios, "bios"),
    ] {
        let order = BootOrder {
            device,
            persistent: true,
            mode: BootMode::Uefi,
        };
        let told = client.power_action(&target, PowerAction::BootFrom(order), BUDGET);
        assert_eq!(told.await, Ok(()), "{device}");
        let known = fs::read_to_string(sim.dir.path().join("boot")).unwrap();
        assert_eq!(known.trim(), word);
        let state = client.boot_state(&target, BUDGET).await;
        assert_eq!(state, Ok(BootState::default()));
    }
    client.close(BUDGET).await;
}
