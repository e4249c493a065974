//! `[admin]`: the operators' listener.

use crate::option::section::section;
use std::net::SocketAddr;

section! {
    /// The operators' listener: health, metrics, cluster and locks. Keep it off public networks.
    pub struct AdminSection in "admin";
    fixed because "the listener is bound when the conductor starts";

    /// Address and port to listen on; port 0 takes a free one.
    listen: SocketAddr = "127.0.0.1:6386", ours;
}
