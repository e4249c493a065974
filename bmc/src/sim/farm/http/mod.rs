//! TCP listeners for Redfish: HTTP/1.1 with or without TLS, for one BMC or, told apart by address or path, for all.

mod connection;
mod response;

use super::config::Layout;
use super::place::{Place, ordinal_of};
use super::tls::Tls;
use super::udp::only_loopback;
use super::{FarmError, Shared};
use crate::sim::fault::FaultKind;
use connection::{Caller, refuse_handshake, stay_silent};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn` (4096 by default).
const BACKLOG: i32 = 4096;
/// After a failed accept (out of file descriptors) the listener rests, so as not to spin.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// How the machine of a connection is found.
#[derive(Clone, Copy)]
enum Routing {
    Fixed(u32),
    ByAddress(Ipv4Addr),
    ByPath,
}

/// Bound listeners that do not serve yet.
pub(super) struct Tcp {
    place: Place,
    listeners: Vec<std::net::TcpListener>,
}

/// Binds what the layout asks for.
pub(super) fn bind(layout: Layout, count: u32) -> Result<Tcp, FarmError> {
    const WHAT: &str = "simulated Redfish";
    if count == 0 {
        return Ok(Tcp {
            place: Place::Nowhere,
            listeners: Vec::new(),
        });
    }
    match layout {
        Layout::Addresses { first, port } => {
            let at = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
            let failed = |source| FarmError::bind(WHAT, at, 0, 1, source);
            let listener = listen(at, true).map_err(failed)?;
            let port = listener.local_addr().map_err(failed)?.port();
            Ok(Tcp {
                place: Place::Addresses { first, port },
                listeners: vec![listener],
            })
        }
        Layout::Paths { at } => {
            let failed = |source| FarmError::bind(WHAT, at, 0, 1, source);
            let listener = listen(at, false).map_err(failed)?;
            let at = listener.local_addr().map_err(failed)?;
            Ok(Tcp {
                place: Place::Paths { at },
                listeners: vec![listener],
            })
        }
        Layout::Ports { address, first } => {
            let mut ports = Vec::new();
            let mut listeners = Vec::new();
            for ordinal in 0..count {
                let port = if first == 0 {
                    0
                } else {
                    u16::try_from(u32::from(first) + ordinal).unwrap_or(0)
                };
                let at = SocketAddr::new(address, port);
                let failed = |source| FarmError::bind(WHAT, at, ordinal, count, source);
                let listener = listen(at, false).map_err(failed)?;
                ports.push(listener.local_addr().map_err(failed)?.port());
                listeners.push(listener);
            }
            Ok(Tcp {
                place: Place::Ports {
                    address,
                    ports: ports.into(),
                },
                listeners,
            })
        }
    }
}

fn listen(at: SocketAddr, wildcard: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    if wildcard {
        only_loopback(&socket);
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Tcp {
    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    /// Starts the accepting tasks.
    pub(super) fn start(
        self,
        shared: &Arc<Shared>,
        tls: Option<&Arc<Tls>>,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Result<(), FarmError> {
        for (listener, ordinal) in self.listeners.into_iter().zip(0..) {
            let routing = match self.place {
                Place::Addresses { first, .. } => Routing::ByAddress(first),
                Place::Paths { .. } | Place::Nowhere => Routing::ByPath,
                Place::Ports { .. } => match shared.census.redfish_machine(ordinal) {
                    Some(machine) => Routing::Fixed(machine),
                    None => continue,
                },
            };
            let at = listener
                .local_addr()
                .unwrap_or_else(|_| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
            let door = Door {
                shared: Arc::clone(shared),
                tls: tls.cloned(),
                routing,
                stop: stop.clone(),
                tasks: tasks.clone(),
            };
            let listener = TcpListener::from_std(listener)
                .map_err(|source| FarmError::bind("simulated Redfish", at, ordinal, 0, source))?;
            tasks.spawn(async move {
                let stop = door.stop.clone();
                stop.run_until_cancelled(door.accept(listener)).await;
            });
        }
        Ok(())
    }
}

/// One listener's way in.
struct Door {
    shared: Arc<Shared>,
    tls: Option<Arc<Tls>>,
    routing: Routing,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Door {
    async fn accept(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => self.admit(stream, remote),
                Err(error) => {
                    tracing::warn!(%error, "the simulated Redfish service cannot accept; check `ulimit -n`");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, remote: SocketAddr) {
        let machine = match self.routing {
            Routing::Fixed(machine) => Some(machine),
            Routing::ByPath => None,
            Routing::ByAddress(first) => {
                let Ok(IpAddr::V4(address)) = stream.local_addr().map(|at| at.ip()) else {
                    return;
                };
                let machine = ordinal_of(first, address)
                    .and_then(|ordinal| self.shared.census.redfish_machine(ordinal));
                if machine.is_none() {
                    return; // nobody lives there
                }
                machine
            }
        };
        let manner = self.manner(machine);
        if matches!(manner, Manner::Refuse) {
            return;
        }
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not disable Nagle's algorithm");
        }
        let caller = Caller {
            shared: Arc::clone(&self.shared),
            machine,
            remote,
        };
        let stop = self.stop.clone();
        match manner {
            Manner::Refuse => {}
            Manner::Silent => {
                self.tasks.spawn(async move {
                    stop.run_until_cancelled(stay_silent(stream)).await;
                });
            }
            Manner::OldTls => {
                self.tasks.spawn(async move {
                    stop.run_until_cancelled(refuse_handshake(stream)).await;
                });
            }
            Manner::Plain => {
                self.tasks.spawn(async move {
                    stop.run_until_cancelled(caller.serve(stream)).await;
                });
            }
            Manner::Tls(config) => {
                self.tasks.spawn(async move {
                    stop.run_until_cancelled(caller.serve_tls(stream, config))
                        .await;
                });
            }
        }
    }

    /// How to treat a new connection, faults considered.
    fn manner(&self, machine: Option<u32>) -> Manner {
        let mut foreign = false;
        if let Some(machine) = machine
            && let Some(mut bmc) = self.shared.bmc(machine)
        {
            bmc.core.counters.connections += 1;
            let now = self.shared.now();
            let faults = &mut bmc.core.faults;
            if faults.unreachable(now) {
                return if faults.has(FaultKind::Silent) {
                    Manner::Silent
                } else {
                    Manner::Refuse
                };
            }
            if self.tls.is_some() && faults.has(FaultKind::OldTls) {
                return Manner::OldTls;
            }
            foreign = faults.has(FaultKind::ChangedCertificate);
        }
        let Some(tls) = &self.tls else {
            return Manner::Plain;
        };
        if foreign {
            return Manner::Tls(tls.foreign());
        }
        let ordinal = machine.and_then(|machine| self.shared.census.redfish_ordinal(machine));
        match tls.server(ordinal) {
            Ok(config) => Manner::Tls(config),
            Err(error) => {
                tracing::error!(%error, "a simulated BMC has no certificate");
                Manner::Refuse
            }
        }
    }
}

enum Manner {
    Refuse,
    Silent,
    OldTls,
    Plain,
    Tls(Arc<rustls::ServerConfig>),
}
