//! The sample file and the reference are those of the table, and the table is complete.

use crate::parse;
use baton_config::{Config, Raw, diff_live, document};
use std::path::Path;

fn in_repository(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_default()
}

const REFRESH: &str = "is older than the option table: run `cargo run -p baton-xtask -- docs`";

#[test]
fn the_sample_file_is_that_of_the_table() {
    assert!(
        in_repository("config/baton.sample.toml") == document::sample(),
        "the sample {REFRESH}"
    );
}

#[test]
fn the_reference_is_that_of_the_table() {
    assert!(
        in_repository("docs/configuration.md") == document::reference(),
        "docs/configuration.md {REFRESH}"
    );
}

#[test]
fn the_sample_parses_to_the_defaults_with_and_without_its_comments() {
    let sample = document::sample();
    let uncommented: Vec<_> = sample
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(option) if !option.starts_with(' ') && !option.ends_with('=') => option,
            Some(_) | None => line,
        })
        .collect();
    let uncommented = uncommented.join("\n");
    assert_ne!(uncommented, sample);
    for text in [sample, uncommented] {
        let config = parse(&text).expect("the sample is valid");
        let change = diff_live(&Config::default(), &config).expect("nothing differs");
        assert_eq!(change.changes, []);
    }
}

#[test]
fn the_sample_and_the_reference_mention_every_option() {
    let (sample, reference) = (document::sample(), document::reference());
    for spec in Config::default().specs() {
        assert!(
            sample.contains(&format!("\n#{} =", spec.key)),
            "{} in the sample",
            spec.name()
        );
        assert!(
            reference.contains(&format!("\n| `{}` |", spec.key)),
            "{}",
            spec.name()
        );
    }
}

#[test]
fn every_default_is_what_its_line_says_and_within_its_bounds() {
    let config = Config::default();
    for spec in config.specs().filter(|spec| spec.default != Raw::Unset) {
        let assignment = format!("[{}]\n{} = {}", spec.section, spec.key, spec.default);
        let parsed = parse(&assignment).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(
            parsed.get(spec.section, spec.key),
            config.get(spec.section, spec.key)
        );
    }
}

#[test]
fn no_option_of_the_table_is_also_refused_as_one_of_ironics() {
    let config = Config::default();
    for (section, key, instead) in baton_config::ironic::WITHOUT_USE {
        assert!(
            !config
                .specs()
                .any(|spec| spec.section == *section && spec.key == *key),
            "{section}.{key} is in both tables"
        );
        // What the text sends an operator to must exist.
        for named in instead.split('`').skip(1).step_by(2) {
            if let Some((section, key)) = named.split_once('.')
                && config
                    .sections()
                    .iter()
                    .any(|known| known.name() == section)
            {
                let known = config
                    .specs()
                    .any(|spec| spec.section == section && spec.key == key);
                assert!(known, "the hint for {key} names `{named}`");
            }
        }
    }
}
