//! Durations, each kind with its unit. All of them reach the rest of baton as [`Duration`].

use super::{Kind, Misfit, Raw, not_a};
use std::time::Duration;

/// The longest duration an option takes: ten years, the bound that Ironic gives `heartbeat_timeout`.
const SECONDS_MAX: u64 = 315_576_000;

/// A duration in seconds; decimals are allowed.
pub enum Seconds {}
/// A period in seconds; 0 or less turns the thing off (`None`).
pub enum Interval {}
/// A duration in whole milliseconds; the option's name ends in `_ms`.
pub enum Millis {}

impl Kind for Seconds {
    type Type = Duration;
    fn describe() -> String {
        "number of seconds".into()
    }
    fn read(raw: &Raw) -> Result<Duration, Misfit> {
        let seconds = number(raw).ok_or_else(not_a::<Self>)?;
        if seconds < 0.0 {
            return Err(Misfit("is negative".into()));
        }
        Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|duration| duration.as_secs() <= SECONDS_MAX)
            .ok_or_else(|| Misfit(format!("is out of range: at most {SECONDS_MAX} seconds")))
    }
    fn write(value: &Duration) -> Raw {
        if value.subsec_nanos() == 0 {
            Raw::Int(i64::try_from(value.as_secs()).unwrap_or(i64::MAX))
        } else {
            Raw::Float(value.as_secs_f64())
        }
    }
    fn from_text(text: &str) -> Raw {
        let text = text.trim();
        let float = || text.parse().map(Raw::Float).ok();
        text.parse()
            .map(Raw::Int)
            .ok()
            .or_else(float)
            .unwrap_or_else(|| text.into())
    }
}

/// Any number as a float. Whole numbers up to 2^53 are exact, and nothing longer passes [`SECONDS_MAX`].
fn number(raw: &Raw) -> Option<f64> {
    match raw {
        Raw::Int(value) => i32::try_from(*value)
            .map(f64::from)
            .ok()
            .or_else(|| value.to_string().parse().ok()),
        Raw::Float(value) => Some(*value).filter(|value| value.is_finite()),
        Raw::Unset
        | Raw::Bool(_)
        | Raw::Text(_)
        | Raw::Hidden(_)
        | Raw::List(_)
        | Raw::Table(_) => None,
    }
}

impl Kind for Interval {
    type Type = Option<Duration>;
    const ZERO_IS_OFF: bool = true;
    fn describe() -> String {
        Seconds::describe()
    }
    fn read(raw: &Raw) -> Result<Option<Duration>, Misfit> {
        if number(raw).is_some_and(|seconds| seconds <= 0.0) {
            return Ok(None);
        }
        Seconds::read(raw).map(Some)
    }
    fn write(value: &Option<Duration>) -> Raw {
        value.as_ref().map_or(Raw::Int(0), Seconds::write)
    }
    fn from_text(text: &str) -> Raw {
        Seconds::from_text(text)
    }
}

impl Kind for Millis {
    type Type = Duration;
    fn describe() -> String {
        "whole number of milliseconds".into()
    }
    fn read(raw: &Raw) -> Result<Duration, Misfit> {
        let Raw::Int(value) = raw else {
            return Err(not_a::<Self>());
        };
        let millis = u64::try_from(*value).map_err(|_| Misfit("is negative".into()))?;
        if millis > SECONDS_MAX * 1000 {
            return Err(Misfit(format!(
                "is out of range: at most {} ms",
                SECONDS_MAX * 1000
            )));
        }
        Ok(Duration::from_millis(millis))
    }
    fn write(value: &Duration) -> Raw {
        Raw::Int(i64::try_from(value.as_millis()).unwrap_or(i64::MAX))
    }
    fn from_text(text: &str) -> Raw {
        u64::from_text(text)
    }
}
