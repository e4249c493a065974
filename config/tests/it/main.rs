//! What the rest of baton and an operator rely on: texts of errors, precedence, documents that match the table.

mod documents;
mod errors;
mod garbage;
mod live;
mod loading;

use baton_config::{Config, ConfigErrors, Environment};

/// The configuration of a text, without an environment.
fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse("baton.toml", text, &Environment::empty())
}

/// The problems of a text, one line each.
fn problems(text: &str) -> Vec<String> {
    let errors = parse(text).expect_err("a problem was expected");
    errors.problems.iter().map(ToString::to_string).collect()
}

/// An environment of these variables.
fn env(pairs: &[(&str, &str)]) -> Environment {
    Environment::from_pairs(
        pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into())),
    )
}
