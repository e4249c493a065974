//! The replicated core as a whole: openraft's storage suite, clusters over real sockets, crashes, damage, formats.

mod clusters;
mod crash;
mod damage;
mod format;
mod power_cut;
mod storage_suite;
mod support;
