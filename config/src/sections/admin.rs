//! `[admin]`: the operators' listener.

use crate::option::raw::Nothing;
use crate::option::section::section;
use baton_model::secret::Secret;
use std::net::SocketAddr;

section! {
    /// The operators' listener: health, metrics, cluster and locks. Keep it off public networks; it speaks plain HTTP.
    pub struct AdminSection in "admin";
    fixed because "the listener is bound when the conductor starts";

    /// Address and port to listen on; port 0 takes a free one.
    listen: SocketAddr = "127.0.0.1:6386", ours;
    /// What every caller has to show: as `Authorization: Bearer`, or as the password of any user. Required when `listen` is no
    /// loopback address. `baton cluster` takes it from here, and `BATON__ADMIN__TOKEN` keeps it out of the file.
    token: Option<Secret<String>> = Nothing, ours;
}
