//! The replicated core as a whole: openraft's storage suite, clusters over real sockets, crashes, damage, formats.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, outside the test functions that clippy exempts"
)]

mod backup;
mod clusters;
mod crash;
mod damage;
mod enter;
mod figures;
mod format;
mod power_cut;
mod sessions;
mod storage_suite;
mod support;
mod tls;
