//! What Get Device ID says about who made the BMC.

use super::wire::command::DeviceId;
use crate::vendor::Vendor;
use baton_model::port::bmc::BmcIdentity;

/// Its maker's own selector of a disk with UEFI, if it has one.
pub(super) fn uefi_disk(device: &DeviceId) -> Option<u8> {
    Vendor::for_number(device.manufacturer)?.0.uefi_disk
}

/// The identity as the port tells it.
pub(super) fn identity(device: &DeviceId) -> BmcIdentity {
    BmcIdentity {
        vendor: Vendor::for_number(device.manufacturer).map(|(_, name)| name.into()),
        model: Some(format!("product {} device {}", device.product, device.device).into()),
        firmware: Some(format!("{}.{:02x}", device.firmware_major, device.firmware_minor).into()),
    }
}
