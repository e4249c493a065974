//! What Get Device ID says about who made the BMC.

use super::wire::command::DeviceId;
use baton_model::port::bmc::BmcIdentity;

/// IANA enterprise numbers of server makers and their names as `ipmitool` prints them, in lower case: Ironic stores
/// them in `properties.vendor` that way.
const VENDORS: &[(u32, &str)] = &[
    (2, "ibm"),
    (11, "hewlett-packard"),
    (42, "sun microsystems"),
    (343, "intel corporation"),
    (674, "dell inc"),
    (5771, "cisco systems, inc."),
    (7154, "ipmi forum"),
    (7244, "quanta computer inc."),
    (10_368, "fujitsu siemens"),
    (10_876, "supermicro"),
    (15_370, "giga-byte"),
    (19_046, "lenovo"),
    (20_301, "ibm emulex"),
    (47_196, "hewlett packard enterprise"),
];

/// The identity as the port tells it.
pub(super) fn identity(device: &DeviceId) -> BmcIdentity {
    BmcIdentity {
        vendor: VENDORS
            .iter()
            .find(|(number, _)| *number == device.manufacturer)
            .map(|(_, name)| (*name).into()),
        model: Some(format!("product {} device {}", device.product, device.device).into()),
        firmware: Some(format!("{}.{:02x}", device.firmware_major, device.firmware_minor).into()),
    }
}
