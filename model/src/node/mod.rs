//! One managed machine: its record, its states and the rules by which they change.

pub mod bios;
pub mod boot;
pub mod core;
pub mod edit;
pub mod intent;
pub mod power;
pub mod provision;
pub mod record;
pub mod steps;
