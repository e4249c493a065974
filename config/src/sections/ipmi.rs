//! `[ipmi]`: how long and how often IPMI commands are tried.

use crate::option::kinds::Seconds;
use crate::option::section::section;

section! {
    /// IPMI over LAN.
    pub struct IpmiSection in "ipmi";
    fixed because "the IPMI client is built when the conductor starts";

    /// How long one command is tried before it has failed.
    command_retry_timeout: Seconds = 60, live, range(1, 3600);
    /// The shortest gap between two commands to one BMC. Reads of the power state are not held back by it.
    min_command_interval: Seconds = 5, live, range(0, 300);
    /// Tell the BMC not to forget the boot device after 60 seconds, for nodes without `ipmi_disable_boot_timeout`.
    disable_boot_timeout: bool = true;
    /// Cipher suites to fall back to, the last one first, for nodes that name none; empty: 17, then 3.
    cipher_suite_versions: Vec<String> = [];
}
