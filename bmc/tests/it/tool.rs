//! Running other people's programs.

use std::io::ErrorKind;
use std::time::Duration;
use tokio::process::Command;

/// No tool here needs longer for one command, even on a machine that compiles meanwhile.
const TOOL_MAX: Duration = Duration::from_secs(60);

/// What a program said.
#[derive(Debug)]
pub(crate) struct Said {
    /// Whether it exited with 0.
    pub(crate) ok: bool,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

/// Runs a program to its end.
pub(crate) async fn run(program: &str, package: &str, args: &[&str]) -> Said {
    let output = Command::new(program).args(args).kill_on_drop(true).output();
    let output = match tokio::time::timeout(TOOL_MAX, output).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => panic!(
            "`{program}` is not installed; it is in the Debian package `{package}`: apt-get install {package}"
        ),
        Ok(Err(error)) => panic!("cannot run `{program}`: {error}"),
        Err(_) => panic!(
            "`{program} {}` did not end within {TOOL_MAX:?}",
            args.join(" ")
        ),
    };
    Said {
        ok: output.status.success(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
