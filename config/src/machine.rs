//! What the machine says about itself where the configuration is silent.

/// Where Linux keeps the host name (`proc_sys_kernel(5)`).
const HOSTNAME: &str = "/proc/sys/kernel/hostname";

/// The machine's host name; `localhost` where it has none.
pub(crate) fn host_name() -> String {
    let name = std::fs::read_to_string(HOSTNAME).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name.to_owned()
    }
}
