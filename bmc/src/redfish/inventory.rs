//! What a machine is made of. Sources: DSP2046 ComputerSystem, Processor, EthernetInterface, Storage, Drive, SimpleStorage;
//! Ironic `redfish/inspect.py` for what counts and how it is named.
//!
//! Every collection is read up to a bound, and what is not there is left out: only the system itself has to be.

use super::answer;
use super::conversation::Conversation;
use super::resource::links;
use baton_model::json::Json;
use baton_model::node::boot::BootMode;
use baton_model::port::bmc::BmcError;
use baton_model::port::inquiry::Inventory;
use serde_json::{Map, Value, json};

/// Most processors that are read. Machines have up to eight.
const PROCESSORS_MAX: usize = 8;
/// Most network interfaces that are read, which is as many ports as one inspection makes.
const INTERFACES_MAX: usize = 48;
/// Most storage controllers that are read.
const STORAGES_MAX: usize = 8;
/// Most drives that are read, of all controllers; only the smallest matters.
const DRIVES_MAX: usize = 32;
/// Most volumes that are read of one controller.
const VOLUMES_MAX: usize = 8;

/// Smaller than this is a boot stick, not a disk (Ironic).
const DISK_BYTES_MIN: u64 = 4 << 30;

/// Ironic's words for `InstructionSet`.
const INSTRUCTION_SETS: [(&str, &str); 7] = [
    ("x86-64", "x86_64"),
    ("x86", "i686"),
    ("ARM-A64", "aarch64"),
    ("ARM-A32", "arm"),
    ("IA-64", "ia64"),
    ("MIPS32", "mips"),
    ("MIPS64", "mips64"),
];

/// All that was read of a machine.
#[derive(Default)]
struct Parts {
    system: Value,
    processors: Vec<Value>,
    interfaces: Vec<Value>,
    drives: Vec<Value>,
    /// `Devices` of the older SimpleStorage.
    devices: Vec<Value>,
    volumes: Vec<Value>,
}

fn capacity(disk: &Value) -> Option<u64> {
    disk.get("CapacityBytes")?.as_u64()
}

/// The smallest that is a disk.
fn smallest(disks: &[Value]) -> Option<u64> {
    let sizes = disks.iter().filter_map(capacity);
    sizes.filter(|bytes| *bytes >= DISK_BYTES_MIN).min()
}

/// A MAC address in lower case with colons; `None` for anything else.
fn mac(text: &str) -> Option<String> {
    let pairs: Vec<&str> = text.trim().split([':', '-']).collect();
    let is_pair =
        |pair: &&str| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_mac = pairs.len() == 6 && pairs.iter().all(is_pair);
    is_mac.then(|| pairs.join(":").to_ascii_lowercase())
}

fn mac_of(interface: &Value) -> Option<String> {
    let text = answer::text(interface, "MACAddress")
        .or_else(|| answer::text(interface, "PermanentMACAddress"))?;
    mac(&text)
}

/// Whether an interface is in use, as far as the BMC says.
fn is_enabled(interface: &Value) -> bool {
    let state = interface.pointer("/Status/State").and_then(Value::as_str);
    state.is_none_or(|state| state == "Enabled")
        && interface.get("InterfaceEnabled") != Some(&Value::Bool(false))
}

/// Puts in what is known.
fn put(map: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value.into());
    }
}

fn text(resource: &Value, key: &str) -> Option<String> {
    answer::text(resource, key).map(str::into_string)
}

impl Parts {
    fn memory_mb(&self) -> Option<u64> {
        let gib = self
            .system
            .pointer("/MemorySummary/TotalSystemMemoryGiB")?
            .as_f64()?;
        // Some report fractions; nobody has an exbibyte.
        let mib = (gib * 1024.0).round();
        (mib > 0.0 && mib < 1e15).then(|| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is positive and below 2^50, as was just checked"
            )]
            let whole = mib as u64;
            whole
        })
    }

    fn cpus(&self) -> Option<u64> {
        let summary = |key: &str| {
            let count = self.system.pointer(&format!("/ProcessorSummary/{key}"))?;
            count.as_u64().filter(|count| *count > 0)
        };
        let threads: u64 = self
            .processors
            .iter()
            .filter_map(|processor| processor.get("TotalThreads")?.as_u64())
            .sum();
        summary("LogicalProcessorCount")
            .or_else(|| Some(threads).filter(|count| *count > 0))
            .or_else(|| summary("Count"))
    }

    fn cpu_arch(&self) -> Option<&'static str> {
        let known = |set: &str| INSTRUCTION_SETS.iter().find(|(word, _)| *word == set);
        self.processors.iter().find_map(|processor| {
            let word = |key: &str| processor.get(key).and_then(Value::as_str);
            let by_set = word("InstructionSet")
                .and_then(known)
                .map(|(_, arch)| *arch);
            by_set.or_else(|| match word("ProcessorArchitecture")? {
                // Whoever names no instruction set is new enough for 64 bits.
                "x86" => Some("x86_64"),
                "ARM" => Some("aarch64"),
                _ => None,
            })
        })
    }

    fn local_gb(&self) -> u64 {
        let full = smallest(&self.volumes).or_else(|| smallest(&self.drives));
        let bytes = match (smallest(&self.devices), full) {
            (Some(simple), Some(full)) => simple.min(full),
            (one, other) => one.or(other).unwrap_or(0),
        };
        (bytes >> 30).saturating_sub(1)
    }

    fn boot_mode(&self) -> Option<BootMode> {
        match self
            .system
            .pointer("/Boot/BootSourceOverrideMode")?
            .as_str()?
        {
            "UEFI" => Some(BootMode::Uefi),
            "Legacy" => Some(BootMode::Bios),
            _ => None,
        }
    }

    fn interfaces(&self) -> Vec<Value> {
        let shown = self.interfaces.iter().filter_map(|interface| {
            let mut shown = Map::new();
            put(&mut shown, "name", text(interface, "Id"));
            put(&mut shown, "mac_address", Some(mac_of(interface)?));
            let speed = interface.get("SpeedMbps").and_then(Value::as_u64);
            put(&mut shown, "speed_mbps", speed);
            Some(Value::Object(shown))
        });
        shown.collect()
    }

    fn disks(&self) -> Vec<Value> {
        let all = self.drives.iter().chain(&self.devices);
        let shown = all.map(|disk| {
            let mut shown = Map::new();
            put(&mut shown, "name", text(disk, "Name"));
            put(&mut shown, "size", capacity(disk));
            put(&mut shown, "vendor", text(disk, "Manufacturer"));
            put(&mut shown, "model", text(disk, "Model"));
            put(&mut shown, "serial", text(disk, "SerialNumber"));
            let kind = disk.get("MediaType").and_then(Value::as_str);
            put(&mut shown, "rotational", kind.map(|kind| kind == "HDD"));
            Value::Object(shown)
        });
        shown.collect()
    }

    fn cpu(&self) -> Value {
        let mut cpu = Map::new();
        put(&mut cpu, "count", Some(self.cpus().unwrap_or(0)));
        let arch = self.cpu_arch().unwrap_or_default();
        put(&mut cpu, "architecture", Some(arch));
        let first = self.processors.first();
        let model = first.and_then(|one| text(one, "Model"));
        put(&mut cpu, "model_name", model);
        let speed = first.and_then(|one| one.get("MaxSpeedMHz")?.as_u64());
        put(&mut cpu, "frequency", speed);
        Value::Object(cpu)
    }

    fn document(&self) -> Json {
        let mut all = Map::new();
        let memory = self.memory_mb().map(|mb| json!({"physical_mb": mb}));
        put(&mut all, "memory", memory);
        put(&mut all, "cpu", Some(self.cpu()));
        put(&mut all, "interfaces", Some(self.interfaces()));
        let disks = self.disks();
        put(&mut all, "disks", (!disks.is_empty()).then_some(disks));
        let mut vendor = Map::new();
        for (key, field) in [
            ("product_name", "Model"),
            ("serial_number", "SerialNumber"),
            ("manufacturer", "Manufacturer"),
            ("system_uuid", "UUID"),
        ] {
            put(&mut vendor, key, text(&self.system, field));
        }
        put(
            &mut all,
            "system_vendor",
            (!vendor.is_empty()).then_some(vendor),
        );
        let boot = self.boot_mode();
        let boot = boot.map(|mode| json!({"current_boot_mode": mode.as_str()}));
        put(&mut all, "boot", boot);
        Json::from_map(&all)
    }

    fn inventory(&self) -> Inventory {
        let enabled = self.interfaces.iter().filter(|one| is_enabled(one));
        let mut macs: Vec<Box<str>> = enabled.filter_map(mac_of).map(Into::into).collect();
        macs.sort();
        macs.dedup();
        Inventory {
            memory_mb: self.memory_mb(),
            cpus: self.cpus(),
            cpu_arch: self.cpu_arch().map(Into::into),
            local_gb: self.local_gb(),
            boot_mode: self.boot_mode(),
            vendor: answer::text(&self.system, "Manufacturer"),
            macs,
            document: self.document(),
        }
    }
}

impl Conversation<'_> {
    /// What the machine is made of.
    pub(super) async fn read_inventory(&mut self) -> Result<Inventory, BmcError> {
        let system = self.read_system().await?;
        let mut parts = Parts {
            processors: self
                .members_of(&system, "/Processors", PROCESSORS_MAX)
                .await?,
            interfaces: self
                .members_of(&system, "/EthernetInterfaces", INTERFACES_MAX)
                .await?,
            ..Parts::default()
        };
        for storage in self.members_of(&system, "/Storage", STORAGES_MAX).await? {
            let room = DRIVES_MAX - parts.drives.len().min(DRIVES_MAX);
            let drives = self.all(links(&storage, "/Drives"), room).await?;
            parts.drives.extend(drives);
            let volumes = self.members_of(&storage, "/Volumes", VOLUMES_MAX).await?;
            parts.volumes.extend(volumes);
        }
        if parts.drives.is_empty() {
            let simple = self.members_of(&system, "/SimpleStorage", STORAGES_MAX);
            for storage in simple.await? {
                let devices = storage.get("Devices").and_then(Value::as_array);
                let devices = devices.into_iter().flatten().take(DRIVES_MAX).cloned();
                parts.devices.extend(devices);
            }
        }
        parts.system = system;
        Ok(parts.inventory())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_addresses_are_brought_into_one_shape() {
        assert_eq!(
            mac("00-1A-2b-3C-4d-5E").as_deref(),
            Some("00:1a:2b:3c:4d:5e")
        );
        for odd in ["", "00:11:22:33:44", "00:11:22:33:44:5g", "001122334455"] {
            assert_eq!(mac(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_disk_is_the_smallest_that_is_one_less_a_gibibyte() {
        let disk = |gib: u64| json!({"CapacityBytes": gib << 30, "Name": "d", "MediaType": "SSD"});
        let mut parts = Parts {
            drives: vec![disk(2), disk(500), disk(100)],
            ..Parts::default()
        };
        assert_eq!(parts.local_gb(), 99);
        parts.volumes = vec![disk(200)];
        assert_eq!(parts.local_gb(), 199, "a volume is what the system sees");
        parts.devices = vec![disk(50)];
        assert_eq!(parts.local_gb(), 49);
        assert_eq!(Parts::default().local_gb(), 0);
        assert_eq!(parts.disks()[0]["rotational"], false);
    }

    #[test]
    fn only_enabled_interfaces_make_ports_and_odd_answers_make_nothing() {
        let parts = Parts {
            system: json!({
                "MemorySummary": {"TotalSystemMemoryGiB": 1.5}, "ProcessorSummary": {"Count": 2},
                "Boot": {"BootSourceOverrideMode": "UEFI"}, "Manufacturer": "ACME", "SerialNumber": "S1",
            }),
            processors: vec![json!({"InstructionSet": "x86-64", "TotalThreads": 16})],
            interfaces: vec![
                json!({"Id": "1", "MACAddress": "AA:BB:CC:00:00:01", "Status": {"State": "Enabled"}}),
                json!({"Id": "2", "MACAddress": "AA:BB:CC:00:00:02", "Status": {"State": "Disabled"}}),
                json!({"Id": "3", "MACAddress": "AA:BB:CC:00:00:03", "InterfaceEnabled": false}),
                json!({"Id": "4", "MACAddress": ""}),
                json!({"Id": "5", "MACAddress": 5}),
            ],
            ..Parts::default()
        };
        let found = parts.inventory();
        assert_eq!(found.macs, ["aa:bb:cc:00:00:01".into()]);
        assert_eq!((found.memory_mb, found.cpus), (Some(1536), Some(16)));
        assert_eq!(found.cpu_arch.as_deref(), Some("x86_64"));
        assert_eq!(found.boot_mode, Some(BootMode::Uefi));
        let shown = found.document.to_map();
        assert_eq!(shown["interfaces"].as_array().map(Vec::len), Some(3));
        assert_eq!(shown["system_vendor"]["serial_number"], "S1");

        let odd = json!({"MemorySummary": {"TotalSystemMemoryGiB": -1}, "ProcessorSummary": [], "Boot": 3});
        let odd = Parts {
            system: odd,
            ..Parts::default()
        }
        .inventory();
        assert_eq!((odd.memory_mb, odd.cpus, odd.boot_mode), (None, None, None));
    }
}
