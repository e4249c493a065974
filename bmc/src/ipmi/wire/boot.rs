//! Boot options (§28.12 Set System Boot Options, §28.13 Get System Boot Options, table 28-14): which device, for how long,
//! in which mode.

use super::WireError;
use super::reader::Reader;
use baton_model::node::boot::{BootDevice, BootMode, BootOrder, BootState};

/// Parameter 3: which events make the BMC forget the boot flags.
const VALID_BIT_CLEARING: u8 = 3;
/// Parameter 5: the boot flags.
pub const BOOT_FLAGS: u8 = 5;
/// Parameter 3, bit 3: the flags stay although no power command follows within 60 s.
const KEEP_WITHOUT_COMMAND: u8 = 0x08;

/// Parameter 5, data 1: the flags mean something.
const VALID: u8 = 0x80;
/// Parameter 5, data 1: for all future boots, not the next one only.
const PERSISTENT: u8 = 0x40;
/// Parameter 5, data 1: UEFI rather than PC boot.
const EFI: u8 = 0x20;

/// The selector of each device in data 2, bits 5 to 2.
const SELECTORS: [(BootDevice, u8); 5] = [
    (BootDevice::Pxe, 1),
    (BootDevice::Disk, 2),
    (BootDevice::Safe, 3),
    (BootDevice::Cdrom, 5),
    (BootDevice::Bios, 6),
];

/// A boot option as it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BootOption {
    /// Do not forget the boot flags after a minute.
    Keep,
    /// The boot flags: data 1 and data 2 of parameter 5. The others are zero, which leaves the firmware as it is.
    Flags([u8; 2]),
}

impl BootOption {
    /// The flags for this order; `None` for a device that IPMI has no selector for. `uefi_disk` is the maker's own selector
    /// of a disk with UEFI, where it has one.
    #[must_use]
    pub fn flags(order: BootOrder, uefi_disk: Option<u8>) -> Option<Self> {
        let own =
            uefi_disk.filter(|_| order.mode == BootMode::Uefi && order.device == BootDevice::Disk);
        let selector = match own {
            Some(selector) => selector,
            None => {
                let known = SELECTORS.iter().find(|(device, _)| *device == order.device);
                known.map(|(_, selector)| *selector)?
            }
        };
        let mut first = VALID;
        if order.persistent {
            first |= PERSISTENT;
        }
        if order.mode == BootMode::Uefi {
            first |= EFI;
        }
        Some(Self::Flags([first, selector << 2]))
    }

    /// Request data, and how much of it counts.
    #[must_use]
    pub const fn data(self) -> ([u8; 6], usize) {
        match self {
            Self::Keep => ([VALID_BIT_CLEARING, KEEP_WITHOUT_COMMAND, 0, 0, 0, 0], 2),
            Self::Flags([first, second]) => ([BOOT_FLAGS, first, second, 0, 0, 0], 6),
        }
    }

    /// Reads request data; `None` for a parameter that baton never sets.
    #[must_use]
    pub fn decode(data: &[u8]) -> Option<Self> {
        match data {
            [VALID_BIT_CLEARING, KEEP_WITHOUT_COMMAND] => Some(Self::Keep),
            [parameter, first, second, ..] if parameter & 0x7F == BOOT_FLAGS => {
                Some(Self::Flags([*first, *second]))
            }
            _ => None,
        }
    }
}

/// Reads the response to Get System Boot Options for the boot flags.
///
/// # Errors
/// Too short, or about another parameter.
pub fn decode_flags(data: &[u8]) -> Result<BootState, WireError> {
    let mut reader = Reader::new(data, "Get System Boot Options response");
    let [_version, parameter, first, second] = reader.array()?;
    if parameter & 0x7F != BOOT_FLAGS {
        return Err(WireError::Malformed("boot option parameter"));
    }
    if first & VALID == 0 {
        return Ok(BootState::default());
    }
    let selector = (second >> 2) & 0x0F;
    let device = SELECTORS.iter().find(|(_, known)| *known == selector);
    Ok(BootState {
        device: device.map(|(device, _)| *device),
        persistent: device.map(|_| first & PERSISTENT != 0),
        mode: device.map(|_| {
            if first & EFI == 0 {
                BootMode::Bios
            } else {
                BootMode::Uefi
            }
        }),
        secure_boot: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(device: BootDevice, persistent: bool, mode: BootMode) -> BootOrder {
        BootOrder {
            device,
            persistent,
            mode,
        }
    }

    /// The bytes are those that Ironic's `ipmitool` interface sends.
    #[test]
    fn flags_are_the_bytes_of_ironic() {
        use BootDevice::{Bios, Cdrom, Disk, Pxe, Safe, UefiHttp};
        use BootMode::{Bios as Pc, Uefi};
        for (order, bytes) in [
            (order(Pxe, false, Pc), [0x80, 0x04]),
            (order(Pxe, true, Uefi), [0xE0, 0x04]),
            (order(Disk, true, Pc), [0xC0, 0x08]),
            (order(Safe, false, Pc), [0x80, 0x0C]),
            (order(Cdrom, false, Uefi), [0xA0, 0x14]),
            (order(Bios, false, Uefi), [0xA0, 0x18]),
        ] {
            assert_eq!(
                BootOption::flags(order, None),
                Some(BootOption::Flags(bytes))
            );
            let [first, second] = bytes;
            let told = decode_flags(&[1, 5, first, second, 0, 0, 0]).expect("flags");
            assert_eq!(told.device, Some(order.device));
            assert_eq!(told.persistent, Some(order.persistent));
            assert_eq!(told.mode, Some(order.mode));
        }
        assert_eq!(BootOption::flags(order(UefiHttp, false, Uefi), None), None);
        let own = BootOption::flags(order(Disk, true, Uefi), Some(9));
        assert_eq!(own, Some(BootOption::Flags([0xE0, 0x24])));
    }

    #[test]
    fn flags_that_are_not_valid_tell_nothing() {
        let told = decode_flags(&[1, 5, 0x40, 0x04, 0, 0, 0]).expect("flags");
        assert_eq!(told, BootState::default());
        assert!(decode_flags(&[1, 5, 0x80]).is_err());
        assert!(decode_flags(&[1, 4, 0x80, 4]).is_err());
    }
}
