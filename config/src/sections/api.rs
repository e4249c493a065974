//! `[api]`: the public listener.

use crate::option::kinds::Seconds;
use crate::option::raw::Nothing;
use crate::option::section::section;
use std::net::IpAddr;
use std::path::PathBuf;

section! {
    /// The public listener, which speaks the Bare Metal v1 API.
    pub struct ApiSection in "api";
    fixed because "the listener is bound when the conductor starts";

    /// Address to listen on. Ironic's default is 0.0.0.0; ours stays on the machine for as long as callers are not
    /// authenticated.
    host_ip: IpAddr = "127.0.0.1";
    /// Port to listen on; 0 takes a free one.
    port: u16 = 6385;
    /// Certificate chain of the listener, PEM. With `key_file` it speaks TLS; a renewed file is taken over within seconds.
    cert_file: Option<PathBuf> = Nothing, ours;
    /// Private key of the listener, PEM.
    key_file: Option<PathBuf> = Nothing, ours;
    /// The address that clients see, put into links; unset: taken from the request.
    public_endpoint: Option<String> = Nothing, live;
    /// Believe `X-Forwarded-Proto` and `X-Forwarded-Host`, which a proxy in front of baton must then set or remove. Ironic has
    /// it in `[oslo_middleware]`.
    enable_proxy_headers_parsing: bool = false, live;
    /// Items on a page of a list, both when a client names no limit and at most.
    max_limit: u32 = 1000, live, range(1, 10_000);
    /// The silence that the ramdisk is told to keep below.
    ramdisk_heartbeat_timeout: Seconds = 300, live, min(1), planned;
    /// Answer lookups of ramdisks only for nodes that expect one.
    restrict_lookup: bool = true, live, planned;
    /// Deploy steps that nobody may ask for.
    disallow_deploy_steps: Vec<String> = ["vendor.send_raw"], live, planned;
    /// Clean steps that nobody may ask for.
    disallow_clean_steps: Vec<String> = ["vendor.send_raw"], live, planned;
    /// Service steps that nobody may ask for.
    disallow_service_steps: Vec<String> = ["vendor.send_raw"], live, planned;
}
