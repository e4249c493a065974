//! A command as a user writes it: network function, number and data as bytes, the way `ipmitool raw` takes them.

use super::message::NetFn;

/// Most data bytes of a raw command. Vendors' commands have a dozen or two.
pub const RAW_DATA_MAX: usize = 48;

/// A command of which only the bytes are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RawCommand {
    /// Network function of the request, even.
    pub netfn: NetFn,
    /// Command number.
    pub number: u8,
    data: [u8; RAW_DATA_MAX],
    length: usize,
}

impl RawCommand {
    /// Cold Reset of the BMC (IPMI 2.0 §20.2).
    pub const COLD_RESET: Self = Self::of(NetFn::APP, 0x02);
    /// Warm Reset of the BMC (IPMI 2.0 §20.3).
    pub const WARM_RESET: Self = Self::of(NetFn::APP, 0x03);

    const fn of(netfn: NetFn, number: u8) -> Self {
        Self {
            netfn,
            number,
            data: [0; RAW_DATA_MAX],
            length: 0,
        }
    }

    /// Reads bytes such as `0x00 0x01 0x02`: network function, command, data.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut bytes = text.split_whitespace().map(|word| {
            let digits = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
            let read = digits.map_or_else(|| word.parse(), |hex| u8::from_str_radix(hex, 16));
            read.map_err(|_| format!("'{word}' is no byte; write 0 to 255 or 0x00 to 0xff"))
        });
        let missing = || "raw_bytes needs a network function and a command".to_owned();
        let netfn = bytes.next().ok_or_else(missing)??;
        let number = bytes.next().ok_or_else(missing)??;
        if netfn > 0x3F || netfn & 1 == 1 {
            return Err(format!(
                "network function {netfn:#04x} is not one of a request, which is even and below 0x40"
            ));
        }
        let mut raw = Self::of(NetFn(netfn), number);
        for byte in bytes {
            let room = raw.data.get_mut(raw.length);
            *room
                .ok_or_else(|| format!("raw_bytes has more than {RAW_DATA_MAX} bytes of data"))? =
                byte?;
            raw.length = raw.length.saturating_add(1);
        }
        Ok(raw)
    }

    /// Request data.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.data.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_bytes_as_ipmitool_takes_them() {
        let raw = RawCommand::parse("0x06 0x01").expect("fine");
        assert_eq!(
            (raw.netfn, raw.number, raw.data()),
            (NetFn::APP, 1, &[][..])
        );
        let raw = RawCommand::parse(" 0 8 0x05 0XfF 17").expect("fine");
        assert_eq!((raw.netfn.0, raw.number), (0, 8));
        assert_eq!(raw.data(), [5, 255, 17]);
        assert_eq!(RawCommand::parse("6 2"), Ok(RawCommand::COLD_RESET));
    }

    #[test]
    fn says_what_is_wrong_with_others() {
        for (text, why) in [
            ("", "needs a network function"),
            ("0x06", "needs a network function"),
            ("0x06 zz", "'zz' is no byte"),
            ("0x06 256", "'256' is no byte"),
            ("0x07 0x01", "network function 0x07"),
            ("0x40 0x01", "network function 0x40"),
        ] {
            let told = RawCommand::parse(text).expect_err("wrong");
            assert!(told.contains(why), "{text}: {told}");
        }
        let long = format!("0 1 {}", "2 ".repeat(RAW_DATA_MAX + 1));
        assert!(RawCommand::parse(&long).is_err());
    }
}
