//! `baton-chaos`: runs scenarios from seeds and reports what broke, with the seed and the end of the trace.

use anyhow::Context as _;
use baton_chaos_tests::nemesis::Temper;
use baton_chaos_tests::plant::Plant;
use baton_chaos_tests::scenario::{self, Plan, Report};
use baton_chaos_tests::trace::first_difference;
use clap::Parser;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// Simulates a cluster of conductors in trouble.
#[derive(Parser, Debug)]
#[command(name = "baton-chaos", version)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds to run, counting up.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Conductors.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=7))]
    conductors: u64,
    /// Machines.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=200))]
    machines: u64,
    /// Seconds of trouble in each run.
    #[arg(long, default_value_t = 20)]
    trouble_s: u64,
    /// What kinds of trouble.
    #[arg(long, value_enum, default_value_t = Temper::Mixed)]
    temper: Temper,
    /// A bug to plant.
    #[arg(long, value_enum, default_value_t = Plant::None)]
    plant: Plant,
    /// Lines of the trace to show of a run that broke something.
    #[arg(long, default_value_t = 60)]
    tail: usize,
    /// Show the whole trace of every run.
    #[arg(long)]
    trace: bool,
    /// Run every seed twice and compare the traces.
    #[arg(long)]
    twice: bool,
    /// Go on after a run that broke something.
    #[arg(long)]
    keep_going: bool,
    /// Log what the conductors log, such as `info` or `baton_cluster=debug`, on standard error.
    #[arg(long)]
    log: Option<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(filter) = &arguments.log {
        let filter = tracing_subscriber::EnvFilter::builder()
            .parse(filter)
            .with_context(|| format!("`--log {filter}` is no log filter"))?;
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .without_time()
            .init();
    }
    let mut broken = 0;
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.runs) {
        let plan = Plan {
            seed,
            conductors: arguments.conductors,
            machines: arguments.machines,
            trouble_ms: arguments.trouble_s * 1000,
            temper: arguments.temper,
            plant: arguments.plant,
        };
        let report = scenario::run(plan);
        print(&describe(&report, &arguments))?;
        let mut good = report.violations.is_empty();
        if arguments.twice {
            let again = scenario::run(plan);
            match first_difference(&report.trace, &again.trace) {
                None => print("    the same trace twice\n")?,
                Some((line, one, other)) => {
                    good = false;
                    print(&format!(
                        "    NOT DETERMINISTIC, line {line}:\n      {one}\n      {other}\n"
                    ))?;
                }
            }
        }
        broken += u64::from(!good);
        if !good && !arguments.keep_going {
            break;
        }
    }
    Ok(if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn describe(report: &Report, arguments: &Arguments) -> String {
    let counts = |map: &BTreeMap<&'static str, u64>| {
        let parts: Vec<String> = map.iter().map(|(name, n)| format!("{n} {name}")).collect();
        parts.join(", ")
    };
    let verdict = if report.violations.is_empty() {
        "ok"
    } else {
        "BROKEN"
    };
    let mut lines = vec![
        format!(
            "seed {}: {verdict}, {:.1} s simulated, {} entries, {} commands, trace {} lines #{:016x}",
            report.plan.seed,
            Duration::from_millis(report.lasted_ms).as_secs_f64(),
            report.entries,
            report.commands,
            report.trace.len(),
            report.digest,
        ),
        format!("    requests: {}", counts(&report.answers)),
        format!("    trouble: {}", counts(&report.injections)),
    ];
    if arguments.trace {
        lines.extend(report.trace.iter().cloned());
    }
    if !report.violations.is_empty() {
        if !arguments.trace {
            let skipped = report.trace.len().saturating_sub(arguments.tail);
            lines.push("  the end of the trace:".to_owned());
            let tail = report.trace.iter().skip(skipped);
            lines.extend(tail.map(|line| format!("    {line}")));
        }
        lines.push("  broken:".to_owned());
        lines.extend(report.violations.iter().map(|one| format!("    {one}")));
        lines.push(format!("  again: {}", again(&report.plan)));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The command that repeats a run.
fn again(plan: &Plan) -> String {
    format!(
        "cargo run -p baton-chaos-tests -- --seed {} --conductors {} --machines {} --trouble-s {} --temper {} --plant {} --trace",
        plan.seed,
        plan.conductors,
        plan.machines,
        plan.trouble_ms / 1000,
        plan.temper,
        plan.plant,
    )
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("could not write the report")
}
