//! Tests of the faults: what may be injected, and how delays are drawn.

use super::set::Faults;
use super::*;
use crate::sim::draw::Draw;
use baton_model::env::Mono;

#[test]
fn json_shape_is_the_documented_one() {
    let fault: Fault = serde_json::from_str(r#"{"kind":"slow","min_ms":5,"max_ms":9}"#).unwrap();
    assert_eq!(fault.kind(), FaultKind::Slow);
    let fault: Fault = serde_json::from_str(r#"{"kind":"garbage"}"#).unwrap();
    assert_eq!(fault, Fault::Garbage { fraction: 1.0 });
    let bad = serde_json::from_str::<Fault>(r#"{"kind":"loss","fraction":0.5,"x":1}"#);
    assert!(bad.is_err());
    assert!(Fault::Loss { fraction: 1.5 }.check().is_err());
    assert!(
        Fault::Slow {
            min_ms: 9,
            max_ms: 5,
            spread: Spread::Uniform
        }
        .check()
        .is_err()
    );
}

#[test]
fn a_reboot_ends_by_itself() {
    let mut faults = Faults::default();
    faults.set(Mono(100), Fault::Reboot { for_ms: 50 });
    assert!(faults.unreachable(Mono(149)));
    assert!(!faults.unreachable(Mono(150)));
    assert!(faults.is_empty());
}

#[test]
fn flapping_claims_both_in_turn() {
    let mut faults = Faults::default();
    faults.set(Mono(0), Fault::Flapping { period_ms: 10 });
    assert_eq!(faults.claim(Mono(4)), Some(PowerReading::On));
    assert_eq!(faults.claim(Mono(5)), Some(PowerReading::Off));
    assert_eq!(faults.claim(Mono(10)), Some(PowerReading::On));
}

#[test]
fn delays_stay_within_their_bounds() {
    let mut draw = Draw::new(1, 1);
    for spread in [Spread::Uniform, Spread::LongTail] {
        let mut faults = Faults::default();
        faults.set(
            Mono(0),
            Fault::Slow {
                min_ms: 10,
                max_ms: 20,
                spread,
            },
        );
        for _ in 0..1000 {
            let delay = faults.delay(&mut draw).as_millis();
            assert!((10..=20).contains(&delay), "{delay} ms of {spread:?}");
        }
    }
}
