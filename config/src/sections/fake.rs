//! `[fake]`: how long the interfaces of `fake-hardware` take.

use crate::option::kinds::FakeDelay;
use crate::option::section::section;

section! {
    /// Delays of `fake-hardware`, in seconds for each call: `"n"`, or `"a,b"` for a random one between a and b.
    pub struct FakeSection in "fake";
    fixed because "fake drivers are built when the conductor starts";

    /// Delay of the power interface.
    power_delay: FakeDelay = "0", live;
    /// Delay of the boot interface.
    boot_delay: FakeDelay = "0", live, planned;
    /// Delay of the deploy interface.
    deploy_delay: FakeDelay = "0", live, planned;
    /// Delay of the vendor interface.
    vendor_delay: FakeDelay = "0", live, planned;
    /// Delay of the management interface.
    management_delay: FakeDelay = "0", live, planned;
    /// Delay of the inspect interface.
    inspect_delay: FakeDelay = "0", live;
    /// Delay of the RAID interface.
    raid_delay: FakeDelay = "0", live, planned;
    /// Delay of the BIOS interface.
    bios_delay: FakeDelay = "0", live, planned;
    /// Delay of the storage interface.
    storage_delay: FakeDelay = "0", live, planned;
    /// Delay of the rescue interface.
    rescue_delay: FakeDelay = "0", live, planned;
    /// Delay of the firmware interface.
    firmware_delay: FakeDelay = "0", live, planned;
}
