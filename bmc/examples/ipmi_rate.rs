//! Prints cold and warm IPMI power reads a second against the simulator:
//! `cargo run --release -p baton-bmc --features sim --example ipmi_rate [bmcs] [in-flight] [client-threads] [sim-threads]`.
#![expect(clippy::print_stdout, reason = "a measurement is for reading")]

use baton_bmc::bench::{BenchError, IpmiBench, ipmi};
use baton_model::driver::ipmi::CipherSuite;

fn main() -> Result<(), BenchError> {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let number = |at: usize, default: usize| numbers.get(at).copied().unwrap_or(default);
    println!("kind  suite   reads/s  client CPU-s/1000  all CPU-s/1000  sent/read  failed");
    for (cold, reads) in [(true, 60_000), (false, 400_000)] {
        for suite in [CipherSuite::Three, CipherSuite::Seventeen] {
            let report = ipmi(IpmiBench {
                bmcs: u32::try_from(number(0, 2_000)).unwrap_or(2_000),
                reads,
                in_flight: number(1, 256),
                suite,
                cold,
                client_threads: number(2, 2),
                sim_threads: number(3, 2),
            })?;
            println!(
                "{:5} {:5?} {:9.0} {:18.4} {:15.4} {:10.2} {:7}",
                if cold { "cold" } else { "warm" },
                match suite {
                    CipherSuite::Three => 3,
                    CipherSuite::Seventeen => 17,
                },
                report.reads_per_s,
                report.client_cpu_s_per_1000,
                report.all_cpu_s_per_1000,
                report.datagrams_per_read,
                report.failed,
            );
        }
    }
    Ok(())
}
