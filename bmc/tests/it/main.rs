//! Integration tests of the BMC protocols: our clients against hostile servers in this process and against the real
//! tools that operators trust, and our simulator driven by other people's clients. A tool that is missing is a
//! failure that names its Debian package, not a skip.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected has failed"
)]

mod bad_bmcs;
mod ipmi_farm;
mod ipmi_sim;
mod redfish;
mod sim_control;
mod sim_freeipmi;
mod sim_ipmitool;
mod sim_redfish;
mod tool;
