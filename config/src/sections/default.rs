//! `[DEFAULT]`: who this conductor is, which drivers it offers, and what new nodes get.

use crate::option::choice::choice;
use crate::option::kinds::Group;
use crate::option::raw::Nothing;
use crate::option::section::section;
use std::path::PathBuf;

choice! {
    /// How the API authenticates its callers.
    pub enum AuthStrategy {
        /// Not at all: everybody who reaches the listener is an administrator.
        NoAuth = "noauth",
        /// By user and password, from a file of bcrypt hashes; every known user is an administrator.
        HttpBasic = "http_basic",
    }
}

section! {
    /// Identity of this conductor, the hardware types and interfaces it offers, defaults for new nodes.
    pub struct DefaultSection in "DEFAULT";
    fixed because "the drivers and the identity of a conductor are announced to the cluster when it starts";

    /// Name of this conductor in the API and in `reservation`; unset: the machine's host name.
    host: Option<String> = Nothing;
    /// How API callers are authenticated. `keystone` is refused rather than ignored until baton has it.
    auth_strategy: AuthStrategy = "noauth";
    /// Users of `http_basic`: lines of `user:hash` with bcrypt hashes, as `htpasswd -nB` writes them. A changed file is taken
    /// over within a second.
    http_basic_auth_user_file: PathBuf = "/etc/ironic/htpasswd";
    /// Hardware types that nodes may use as `driver`.
    enabled_hardware_types: Vec<String> = ["ipmi", "redfish"], min(1);
    /// BIOS interfaces that nodes may use.
    enabled_bios_interfaces: Vec<String> = ["no-bios", "redfish"];
    /// Boot interfaces that nodes may use.
    enabled_boot_interfaces: Vec<String> = ["ipxe", "pxe", "redfish-virtual-media"];
    /// Console interfaces that nodes may use.
    enabled_console_interfaces: Vec<String> = ["no-console"];
    /// Deploy interfaces that nodes may use.
    enabled_deploy_interfaces: Vec<String> = ["autodetect", "direct", "ramdisk", "bootc"];
    /// Firmware interfaces that nodes may use.
    enabled_firmware_interfaces: Vec<String> = ["no-firmware"];
    /// Inspect interfaces that nodes may use.
    enabled_inspect_interfaces: Vec<String> = ["no-inspect", "redfish"];
    /// Management interfaces that nodes may use; unset: the first that each hardware type supports.
    enabled_management_interfaces: Option<Vec<String>> = Nothing;
    /// Network interfaces that nodes may use.
    enabled_network_interfaces: Vec<String> = ["flat", "noop"];
    /// Power interfaces that nodes may use; unset: the first that each hardware type supports.
    enabled_power_interfaces: Option<Vec<String>> = Nothing;
    /// RAID interfaces that nodes may use.
    enabled_raid_interfaces: Vec<String> = ["agent", "no-raid", "redfish"];
    /// Rescue interfaces that nodes may use.
    enabled_rescue_interfaces: Vec<String> = ["no-rescue"];
    /// Storage interfaces that nodes may use.
    enabled_storage_interfaces: Vec<String> = ["cinder", "noop"];
    /// Vendor interfaces that nodes may use.
    enabled_vendor_interfaces: Vec<String> = ["ipmitool", "redfish", "no-vendor"];
    /// Candidates of the `autodetect` deploy interface; the last one is the fallback.
    autodetect_deploy_interfaces: Vec<String> = ["ramdisk", "bootc", "direct"], planned;
    /// BIOS interface of nodes that name none; unset: the hardware type's own order decides.
    default_bios_interface: Option<String> = Nothing;
    /// Boot interface of nodes that name none; unset: the hardware type's own order decides.
    default_boot_interface: Option<String> = Nothing;
    /// Console interface of nodes that name none; unset: the hardware type's own order decides.
    default_console_interface: Option<String> = Nothing;
    /// Deploy interface of nodes that name none; unset: the hardware type's own order decides.
    default_deploy_interface: Option<String> = Nothing;
    /// Firmware interface of nodes that name none; unset: the hardware type's own order decides.
    default_firmware_interface: Option<String> = Nothing;
    /// Inspect interface of nodes that name none; unset: the hardware type's own order decides.
    default_inspect_interface: Option<String> = Nothing;
    /// Management interface of nodes that name none; unset: the hardware type's own order decides.
    default_management_interface: Option<String> = Nothing;
    /// Network interface of nodes that name none; unset: the hardware type's own order decides.
    default_network_interface: Option<String> = Nothing;
    /// Power interface of nodes that name none; unset: the hardware type's own order decides.
    default_power_interface: Option<String> = Nothing;
    /// RAID interface of nodes that name none; unset: the hardware type's own order decides.
    default_raid_interface: Option<String> = Nothing;
    /// Rescue interface of nodes that name none; unset: the hardware type's own order decides.
    default_rescue_interface: Option<String> = Nothing;
    /// Storage interface of nodes that name none.
    default_storage_interface: String = "noop";
    /// Vendor interface of nodes that name none; unset: the hardware type's own order decides.
    default_vendor_interface: Option<String> = Nothing;
    /// Conductor group of new nodes that name none.
    default_conductor_group: Group = "", live;
    /// Resource class of new nodes that name none.
    default_resource_class: Option<String> = Nothing, live;
    /// How much is kept of `last_error` and `maintenance_reason`, in characters.
    log_in_db_max_size: u32 = 4096, live, range(256, 65_536);
    /// Pins the API and record formats to an older release during a rolling upgrade.
    pin_release_version: Option<String> = Nothing, planned;
}
