//! Whatever stands in a file or a variable: an answer, never a panic.

use crate::{env, parse};
use baton_config::{Config, Environment, Raw};
use proptest::prelude::*;

/// A value of some kind, mostly of the wrong one.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}").replace("NaN", "nan")),
        any::<bool>().prop_map(|value| value.to_string()),
        "[ -!#-~]{0,40}".prop_map(|text| Raw::from(text.as_str()).to_string()),
        prop::collection::vec("[a-z,@:0-9.]{0,12}", 0..4).prop_map(|items| format!("{items:?}")),
        Just("2026-11-22".to_owned()),
        Just("{ a = 1, b = [2, {}] }".to_owned()),
    ]
}

/// Any option, by its place in the table.
fn option() -> impl Strategy<Value = (&'static str, &'static str)> {
    let options: Vec<_> = Config::default()
        .specs()
        .map(|spec| (spec.section, spec.key))
        .collect();
    prop::sample::select(options)
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        drop(parse(&text));
        drop(parse(&format!("[conductor]\n{text}\n")));
    }

    #[test]
    fn any_value_of_any_option_is_taken_and_shown_again_or_refused((section, key) in option(), value in value()) {
        let text = format!("[{section}]\n{key} = {value}\n");
        match parse(&text) {
            Ok(config) if !["password", "token", "application_credential_secret"].contains(&key) => {
                let again = parse(&config.show()).expect("what is shown can be read");
                prop_assert_eq!(again.get(section, key), config.get(section, key));
            }
            Ok(config) => prop_assert!(config.show().contains("***")),
            Err(errors) => prop_assert!(errors.problems.iter().all(|problem| problem.to_string().starts_with("baton.toml:"))),
        }
    }

    #[test]
    fn any_variable_of_any_option_is_answered((section, key) in option(), value in "\\PC{0,40}") {
        let name = format!("BATON__{}__{}", section.to_uppercase(), key.to_uppercase());
        drop(Config::parse("baton.toml", "", &env(&[(&name, &value)])));
        let name = format!("BATON__{value}");
        drop(Config::parse("baton.toml", "", &Environment::from_pairs([(name, value)])));
    }
}
