//! `[admin]`: the operators' listener.

use crate::option::raw::Nothing;
use crate::option::section::section;
use baton_model::secret::Secret;
use std::net::SocketAddr;
use std::path::PathBuf;

section! {
    /// The operators' listener: health, metrics, cluster and locks. Keep it off public networks.
    pub struct AdminSection in "admin";
    fixed because "the listener is bound when the conductor starts";

    /// Address and port to listen on; port 0 takes a free one.
    listen: SocketAddr = "127.0.0.1:6386", ours;
    /// What every caller has to show: as `Authorization: Bearer`, or as the password of any user. Required when `listen` is no
    /// loopback address. `baton cluster` takes it from here, and `BATON__ADMIN__TOKEN` keeps it out of the file.
    token: Option<Secret<String>> = Nothing, ours;
    /// Certificate chain of the listener, PEM. With `key_file` it speaks TLS; a renewed file is taken over within seconds.
    /// That of `[cluster]` will do.
    cert_file: Option<PathBuf> = Nothing, ours;
    /// Private key of the listener, PEM.
    key_file: Option<PathBuf> = Nothing, ours;
    /// Whom `baton cluster` believes when it asks a listener that speaks TLS, PEM; unset: the certificates in `cert_file`.
    ca_file: Option<PathBuf> = Nothing, ours;
    /// Speak plain HTTP on an address that is no loopback address: whoever can listen in on that network then sees the token.
    allow_plain_http: bool = false, ours;
}
