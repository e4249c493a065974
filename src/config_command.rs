//! `baton config check|show`: what a configuration means, before anything is started.

use baton_compute::ComputeOptions;
use baton_config::{Config, Environment};
use std::path::Path;

/// All problems as the error; else a line that says so, and one for each option without effect.
pub(crate) fn check(file: &Path) -> anyhow::Result<String> {
    let config = Config::load(Some(file), &Environment::of_process())?;
    ComputeOptions::from_section(&config.nova)?;
    let mut text = format!("{}: valid\n", file.display());
    for warning in config.warnings() {
        text.push_str(&format!("warning: {warning}\n"));
    }
    Ok(text)
}

/// The effective configuration.
pub(crate) fn show(file: Option<&Path>) -> anyhow::Result<String> {
    Ok(Config::load(file, &Environment::of_process())?.show())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_checked_and_shown() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("baton.toml");
        std::fs::write(&file, "[DEFAULT]\npin_release_version = \"2025.2\"\n").expect("written");
        let checked = check(&file).expect("valid");
        assert!(
            checked.contains(": valid\nwarning: `DEFAULT.pin_release_version`"),
            "{checked}"
        );
        assert!(
            show(Some(&file))
                .expect("valid")
                .contains("pin_release_version = \"2025.2\"")
        );

        std::fs::write(&file, "[nova]\nauth_type = \"kerberos\"\n").expect("written");
        let error = check(&file).expect_err("no such method").to_string();
        assert!(error.contains("auth_type = \"kerberos\""), "{error}");

        std::fs::write(&file, "[nova]\nusrname = \"baton\"\n").expect("written");
        let error = check(&file).expect_err("a slip").to_string();
        assert!(error.contains("did you mean `username`?"), "{error}");
    }
}
