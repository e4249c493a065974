//! Black-box tests: the real binary, the real clients, real processes that are really killed.

mod dev;
mod fencing;
mod reload;
mod rolling;
mod faults;
mod operators;
mod partitions;
mod rack;
mod support;
