//! Black-box tests: the real binary, the real clients, real processes that are really killed.

mod commands;
mod compute;
mod dev;
mod disabled;
mod failover;
mod faults;
mod fencing;
mod identity;
mod operators;
mod partitions;
mod rack;
mod reload;
mod rolling;
mod support;
mod walk;
