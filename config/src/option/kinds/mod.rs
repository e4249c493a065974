//! The kinds of values that options have: plain Rust types are their own kind; durations name their unit.

mod composed;
mod durations;
mod notations;
mod plain;

pub use durations::{Interval, Millis, Seconds};
pub use notations::{FakeDelay, Group, HostPort, Peer};

use super::raw::Raw;
use super::{Kind, Misfit, not_a};

#[cfg(test)]
mod tests {
    use super::*;
    use baton_model::ids::ConductorId;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn text<K: Kind>(text: &str) -> Result<K::Type, Misfit> {
        K::read(&K::from_text(text))
    }

    #[test]
    fn an_interval_of_zero_or_less_is_off() {
        assert_eq!(text::<Interval>("0"), Ok(None));
        assert_eq!(text::<Interval>("-1"), Ok(None));
        assert_eq!(
            text::<Interval>("1.5"),
            Ok(Some(Duration::from_millis(1500)))
        );
    }

    #[test]
    fn durations_refuse_what_they_cannot_hold() {
        for bad in ["-1", "nan", "inf", "1e300", "99999999999999", "soon", ""] {
            assert!(text::<Seconds>(bad).is_err(), "{bad} passed");
        }
        assert!(Millis::read(&Raw::Int(i64::MAX)).is_err());
        assert!(Millis::read(&Raw::Int(-1)).is_err());
    }

    #[test]
    fn a_fake_delay_is_fixed_or_a_range() {
        let range = text::<FakeDelay>("1,5").expect("a range");
        assert_eq!((range.shortest.as_secs(), range.longest.as_secs()), (1, 5));
        assert_eq!(FakeDelay::read(&Raw::Int(2)), text::<FakeDelay>("2"));
        for bad in ["5,1", "a", "1,2,3", "-1", ""] {
            assert!(text::<FakeDelay>(bad).is_err(), "{bad} passed");
        }
    }

    #[test]
    fn peers_and_addresses_need_a_port_and_brackets_around_ipv6() {
        assert!(text::<HostPort>("rack1:6387").is_ok());
        assert!(text::<HostPort>("[fd00::1]:6387").is_ok());
        for bad in [
            "rack1",
            "rack1:0",
            "rack1:99999",
            ":6387",
            "fd00::1:6387",
            "a b:1",
        ] {
            assert!(text::<HostPort>(bad).is_err(), "{bad} passed");
        }
        assert_eq!(
            text::<Peer>("2@rack2:6387").map(|peer| peer.id),
            Ok(ConductorId(2))
        );
        assert!(text::<Peer>("0@rack2:6387").is_err());
    }

    #[test]
    fn tables_and_lists_follow_ironics_notation_in_the_environment() {
        let priorities = text::<BTreeMap<String, u32>>("deploy.erase_devices:0,bios.reset:5");
        assert_eq!(priorities.map(|table| table["bios.reset"]), Ok(5));
        assert_eq!(
            text::<Vec<String>>("a, b"),
            Ok(vec!["a".to_owned(), "b".to_owned()])
        );
        assert!(text::<Vec<String>>("a,a").is_err());
    }
}
