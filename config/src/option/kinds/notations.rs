//! Values with a notation of their own.

use super::{Kind, Misfit, Raw, Seconds, not_a};
use baton_model::ids::ConductorId;
use std::time::Duration;

/// How long one call of a fake interface takes: fixed, or drawn from the triangle that starts at its mode `shortest`
/// and falls to `longest`. Source: Ironic `ironic/drivers/modules/fake.py` (`parse_sleep_range`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FakeDelay {
    /// The shortest delay, and the likeliest.
    pub shortest: Duration,
    /// The longest delay; equal to `shortest` when it is fixed.
    pub longest: Duration,
}

impl Kind for FakeDelay {
    type Type = Self;
    fn describe() -> String {
        "delay in seconds: \"n\", or \"a,b\" for a random one between a and b".into()
    }
    fn read(raw: &Raw) -> Result<Self, Misfit> {
        let Raw::Text(text) = raw else {
            let fixed = Seconds::read(raw).map_err(|_| not_a::<Self>())?;
            return Ok(Self {
                shortest: fixed,
                longest: fixed,
            });
        };
        let bound =
            |part: &str| Seconds::read(&Seconds::from_text(part)).map_err(|_| not_a::<Self>());
        let (shortest, longest) = match text.split_once(',') {
            Some((shortest, longest)) => (bound(shortest)?, bound(longest)?),
            None => (bound(text)?, bound(text)?),
        };
        if longest < shortest {
            return Err(Misfit(
                "ends before it begins: write the shorter delay first".into(),
            ));
        }
        Ok(Self { shortest, longest })
    }
    fn write(value: &Self) -> Raw {
        let (shortest, longest) = (
            Seconds::write(&value.shortest),
            Seconds::write(&value.longest),
        );
        let fixed = value.shortest == value.longest;
        Raw::Text(if fixed {
            shortest.to_string()
        } else {
            format!("{shortest},{longest}")
        })
    }
}

/// An address to connect to, by name or number: `rack1.example:6387`, `[fd00::1]:6387`.
pub enum HostPort {}

impl Kind for HostPort {
    type Type = String;
    fn describe() -> String {
        "address `host:port`".into()
    }
    fn read(raw: &Raw) -> Result<String, Misfit> {
        let Raw::Text(text) = raw else {
            return Err(not_a::<Self>());
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(not_a::<Self>)?;
        let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        let port_fits = port.parse::<u16>().is_ok_and(|port| port != 0);
        let host_fits = !host.is_empty() && !bare_v6 && !host.contains(char::is_whitespace);
        if host_fits && port_fits {
            Ok(text.clone())
        } else {
            Err(not_a::<Self>())
        }
    }
    fn write(value: &String) -> Raw {
        Raw::Text(value.clone())
    }
}

/// A first member of a new cluster, written `ID@HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its conductor id.
    pub id: ConductorId,
    /// Where the others reach it, `host:port`.
    pub address: String,
}

impl Kind for Peer {
    type Type = Self;
    fn describe() -> String {
        "peer `id@host:port`".into()
    }
    fn read(raw: &Raw) -> Result<Self, Misfit> {
        let Raw::Text(text) = raw else {
            return Err(not_a::<Self>());
        };
        let (id, address) = text.split_once('@').ok_or_else(not_a::<Self>)?;
        let id = id
            .parse()
            .ok()
            .filter(|id| *id > 0)
            .ok_or_else(not_a::<Self>)?;
        let address = HostPort::read(&Raw::from(address)).map_err(|_| not_a::<Self>())?;
        Ok(Self {
            id: ConductorId(id),
            address,
        })
    }
    fn write(value: &Self) -> Raw {
        Raw::Text(format!("{}@{}", value.id, value.address))
    }
}

/// A conductor group: letters, digits, `_`, `-` and `.`, kept in lower case. Source: Ironic
/// `ironic/common/args.py` and `api` schema pattern `^[a-zA-Z0-9_\-\.]*$`.
pub enum Group {}

impl Kind for Group {
    type Type = String;
    fn describe() -> String {
        "group name (letters, digits, `_`, `-`, `.`)".into()
    }
    fn read(raw: &Raw) -> Result<String, Misfit> {
        let Raw::Text(text) = raw else {
            return Err(not_a::<Self>());
        };
        let fits = text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
        if fits {
            Ok(text.to_ascii_lowercase())
        } else {
            Err(not_a::<Self>())
        }
    }
    fn write(value: &String) -> Raw {
        Raw::Text(value.clone())
    }
}
