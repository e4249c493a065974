//! Plain Rust types: each is its own kind.

use super::{Kind, Misfit, Raw, not_a};
use baton_model::secret::Secret;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

impl Kind for bool {
    type Type = Self;
    fn describe() -> String {
        "true or false".into()
    }
    fn read(raw: &Raw) -> Result<Self, Misfit> {
        if let Raw::Bool(value) = raw {
            Ok(*value)
        } else {
            Err(not_a::<Self>())
        }
    }
    fn write(value: &Self) -> Raw {
        Raw::Bool(*value)
    }
    fn from_text(text: &str) -> Raw {
        text.to_ascii_lowercase()
            .parse()
            .map_or_else(|_| text.into(), Raw::Bool)
    }
}

macro_rules! whole_numbers {
    ($($number:ty),+) => {$(
        impl Kind for $number {
            type Type = Self;
            fn describe() -> String {
                "whole number".into()
            }
            fn read(raw: &Raw) -> Result<Self, Misfit> {
                let Raw::Int(value) = raw else { return Err(not_a::<Self>()) };
                Self::try_from(*value).map_err(|_| {
                    Misfit(format!("is out of range: {} to {}", Self::MIN, Self::MAX))
                })
            }
            fn write(value: &Self) -> Raw {
                Raw::Int(i64::try_from(*value).unwrap_or(i64::MAX))
            }
            fn from_text(text: &str) -> Raw {
                text.trim().parse().map_or_else(|_| text.into(), Raw::Int)
            }
        }
    )+};
}
whole_numbers!(u8, u16, u32, u64, usize);

impl Kind for String {
    type Type = Self;
    fn describe() -> String {
        "text".into()
    }
    fn read(raw: &Raw) -> Result<Self, Misfit> {
        if let Raw::Text(value) = raw {
            Ok(value.clone())
        } else {
            Err(not_a::<Self>())
        }
    }
    fn write(value: &Self) -> Raw {
        Raw::Text(value.clone())
    }
}

impl Kind for PathBuf {
    type Type = Self;
    fn describe() -> String {
        "path".into()
    }
    fn read(raw: &Raw) -> Result<Self, Misfit> {
        let Raw::Text(value) = raw else {
            return Err(not_a::<Self>());
        };
        if value.is_empty() {
            return Err(Misfit("is an empty path".into()));
        }
        Ok(Self::from(value))
    }
    fn write(value: &Self) -> Raw {
        Raw::Text(value.display().to_string())
    }
}

impl Kind for Secret<String> {
    type Type = Self;
    const SECRET: bool = true;
    fn describe() -> String {
        "secret text".into()
    }
    fn read(raw: &Raw) -> Result<Self, Misfit> {
        if let Raw::Hidden(secret) = raw {
            return Ok(secret.clone());
        }
        String::read(raw)
            .map(Self::new)
            .map_err(|_| not_a::<Self>())
    }
    fn write(value: &Self) -> Raw {
        Raw::Hidden(value.clone())
    }
}

macro_rules! parsed_from_text {
    ($($kind:ty: $describe:literal;)+) => {$(
        impl Kind for $kind {
            type Type = Self;
            fn describe() -> String {
                $describe.into()
            }
            fn read(raw: &Raw) -> Result<Self, Misfit> {
                let Raw::Text(text) = raw else { return Err(not_a::<Self>()) };
                Self::from_str(text).map_err(|_| not_a::<Self>())
            }
            fn write(value: &Self) -> Raw {
                Raw::Text(value.to_string())
            }
        }
    )+};
}
parsed_from_text! {
    IpAddr: "IP address";
    SocketAddr: "listen address (`127.0.0.1:6385`, `[::1]:6385`)";
}
