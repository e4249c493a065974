//! The simulation as every test run sees it: a handful of seeds, their determinism, and bugs that it must notice.

mod determinism;
mod planted;
mod seeds;
