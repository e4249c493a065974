//! The kinds of trouble in words, for the trace and for counting.

use super::Injection;
use std::fmt;

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { host, away_ms } => {
                write!(f, "kill -9 of conductor {host}, back in {away_ms} ms")
            }
            Self::PowerCut { hosts } => {
                f.write_str("power cut of conductor")?;
                for (host, away_ms, kept) in hosts {
                    write!(
                        f,
                        " {host} ({kept} % of its unsynced writes survive, back in {away_ms} ms)"
                    )?;
                }
                Ok(())
            }
            Self::Pause { host, for_ms } => {
                write!(f, "SIGSTOP of conductor {host} for {for_ms} ms")
            }
            Self::Cut { links, for_ms } => write!(f, "cut {links:?} for {for_ms} ms"),
            Self::Slow {
                links,
                by_ms,
                for_ms,
            } => write!(f, "{by_ms} ms slower on {links:?} for {for_ms} ms"),
            Self::Press { address } => write!(f, "the button of machine {address}"),
            Self::Silence { address, for_ms } => {
                write!(f, "BMC {address} silent for {for_ms} ms")
            }
            Self::Drain { host, for_ms } => {
                write!(f, "drain of conductor {host} for {for_ms} ms")
            }
            Self::DiskFull { host, for_ms } => {
                write!(f, "the disk of conductor {host} full for {for_ms} ms")
            }
            Self::FailSync { host } => write!(f, "a failed sync of conductor {host}"),
            Self::LoseDisk { host, away_ms } => {
                write!(f, "lost disk of conductor {host}, back in {away_ms} ms")
            }
            Self::ComputeDown { for_ms } => write!(f, "compute down for {for_ms} ms"),
            Self::ComputeSlow { for_ms } => write!(f, "compute slow for {for_ms} ms"),
            Self::HandOver { to } => write!(f, "the leadership is moved to conductor {to}"),
            Self::Remove { host } => write!(f, "conductor {host} is removed by force"),
            Self::NoBmcs { host, for_ms } => {
                write!(f, "conductor {host} reaches no BMC for {for_ms} ms")
            }
        }
    }
}

impl Injection {
    /// Its kind, for counting.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "kill",
            Self::PowerCut { .. } => "power cut",
            Self::Pause { .. } => "pause",
            Self::Cut { .. } => "cut",
            Self::Slow { .. } => "slow",
            Self::Press { .. } => "button",
            Self::Silence { .. } => "silent BMC",
            Self::NoBmcs { .. } => "no BMCs",
            Self::HandOver { .. } => "handover",
            Self::Remove { .. } => "removal",
            Self::Drain { .. } => "drain",
            Self::DiskFull { .. } => "disk full",
            Self::FailSync { .. } => "failed sync",
            Self::LoseDisk { .. } => "lost disk",
            Self::ComputeDown { .. } => "compute down",
            Self::ComputeSlow { .. } => "compute slow",
        }
    }
}
