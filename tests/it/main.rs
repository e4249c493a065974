//! Black-box tests: the real binary, the real clients, real processes that are really killed.

mod asked_for;
mod bad_bmcs;
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
mod readme;
mod reload;
mod rolling;
mod support;
mod walk;
