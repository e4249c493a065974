//! Which machines a request means: `all`, `ipmi`, `redfish`, or numbers and ranges such as `0-99,200`; of those,
//! optionally only a fraction, chosen by the farm's seed.

use crate::sim::draw::Draw;
use crate::sim::farm::Shared;

/// Ranges in one selection; more are better sent as several requests.
const RANGES_MAX: usize = 1000;
/// Apart from the lanes of the BMCs themselves.
const SELECTION_SEED: u64 = 0x005e_1ec7;

/// A parsed selection.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Selection {
    who: Who,
    fraction: Option<f64>,
}

#[derive(Clone, Debug, PartialEq)]
enum Who {
    All,
    Ipmi,
    Redfish,
    Ranges(Vec<(u32, u32)>),
}

impl Selection {
    pub(super) fn parse(text: &str, fraction: Option<f64>) -> Result<Self, String> {
        if let Some(fraction) = fraction
            && !(0.0..=1.0).contains(&fraction)
        {
            return Err("`fraction` must be between 0 and 1".into());
        }
        let who = match text.trim() {
            "all" => Who::All,
            "ipmi" => Who::Ipmi,
            "redfish" => Who::Redfish,
            ranges => Who::Ranges(
                ranges
                    .split(',')
                    .map(|part| range(part.trim()))
                    .collect::<Result<_, _>>()?,
            ),
        };
        if matches!(&who, Who::Ranges(ranges) if ranges.len() > RANGES_MAX) {
            return Err(format!("`machines` may hold at most {RANGES_MAX} ranges"));
        }
        Ok(Self { who, fraction })
    }

    /// The machines of the farm that are meant, in order.
    pub(super) fn of<'a>(&'a self, farm: &'a Shared) -> impl Iterator<Item = u32> + 'a {
        (0..farm.total()).filter(move |machine| {
            let named = match &self.who {
                Who::All => true,
                Who::Ipmi => farm.speaks(*machine).0,
                Who::Redfish => farm.speaks(*machine).1,
                Who::Ranges(ranges) => ranges
                    .iter()
                    .any(|(first, last)| (first..=last).contains(&machine)),
            };
            named && self.chosen(farm.seed, *machine)
        })
    }

    fn chosen(&self, seed: u64, machine: u32) -> bool {
        self.fraction.is_none_or(|fraction| {
            Draw::new(seed ^ SELECTION_SEED, u64::from(machine)).happens(fraction)
        })
    }
}

fn range(part: &str) -> Result<(u32, u32), String> {
    let wrong = || {
        format!(
            "`machines`: `{part}` is not understood; use `all`, `ipmi`, `redfish`, or numbers and ranges such as `0-99,200`"
        )
    };
    let number = |text: &str| text.trim().parse::<u32>().map_err(|_| wrong());
    let (first, last) = match part.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(part)?, number(part)?),
    };
    if first > last {
        return Err(wrong());
    }
    Ok((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ranges() {
        let selection = Selection::parse("0-99, 200", None).unwrap();
        assert_eq!(selection.who, Who::Ranges(vec![(0, 99), (200, 200)]));
        for wrong in ["", "x", "9-3", "1,,2", "-1"] {
            assert!(Selection::parse(wrong, None).is_err(), "{wrong}");
        }
        assert!(Selection::parse("all", Some(1.5)).is_err());
    }

    #[test]
    fn a_fraction_is_the_same_each_time() {
        let selection = Selection::parse("all", Some(0.1)).unwrap();
        let chosen = |seed| {
            (0..10_000)
                .filter(|m| selection.chosen(seed, *m))
                .collect::<Vec<_>>()
        };
        assert_eq!(chosen(1), chosen(1));
        assert_ne!(chosen(1), chosen(2));
        assert!((800..1200).contains(&chosen(1).len()));
    }
}
