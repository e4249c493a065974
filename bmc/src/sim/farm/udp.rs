//! UDP sockets for IPMI. With one address per BMC a handful of wildcard sockets serves all of them: the kernel tells
//! for which address each datagram was (`IP_PKTINFO`), and answers leave from that address. With one port per BMC
//! there is one small socket and task each.

use super::config::Layout;
use super::place::{Place, ordinal_of};
use super::{FarmError, Shared};
use crate::ipmi::wire::DATAGRAM_MAX;
use crate::sim::bmc::Reaction;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::RefCell;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Wildcard sockets for one port. The kernel spreads senders over them; each has a receive buffer of its own, and a
/// default one (208 KiB) holds only about 250 small datagrams, so 16 absorb a burst of 4,000.
const LANES: u32 = 16;
/// Asked of the kernel for each lane; it grants `net.core.rmem_max` at most.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Room for one received datagram, one byte more than is ever looked at, so that longer ones are seen as too long.
const SLOT: usize = DATAGRAM_MAX + 1;
/// Answers that may wait for their injected delay. More are lost, as in a real network's queues.
const DELAYED_MAX: usize = 100_000;

/// Bound sockets that do not serve yet.
pub(super) enum Udp {
    Nothing,
    Lanes {
        first: Ipv4Addr,
        port: u16,
        sockets: Vec<std::net::UdpSocket>,
    },
    Ports {
        address: IpAddr,
        sockets: Vec<(u16, std::net::UdpSocket)>,
    },
}

/// Binds what the layout asks for.
pub(super) fn bind(layout: Layout, count: u32) -> Result<Udp, FarmError> {
    const WHAT: &str = "simulated IPMI";
    if count == 0 {
        return Ok(Udp::Nothing);
    }
    match layout {
        Layout::Addresses { first, port } => {
            let at = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
            let failed = |opened| move |source| FarmError::bind(WHAT, at, opened, LANES, source);
            // Without SO_REUSEPORT first: a port that another process serves must be an error, not a share.
            let alone = wildcard(port, false).map_err(failed(0))?;
            let port = alone.local_addr().map_err(failed(0))?.port();
            drop(alone);
            let sockets = (0..LANES)
                .map(|lane| wildcard(port, true).map_err(failed(lane)))
                .collect::<Result<_, _>>()?;
            Ok(Udp::Lanes {
                first,
                port,
                sockets,
            })
        }
        Layout::Ports { address, first } => {
            let sockets = (0..count)
                .map(|ordinal| {
                    let port = if first == 0 {
                        0
                    } else {
                        u16::try_from(u32::from(first) + ordinal).unwrap_or(0)
                    };
                    let at = SocketAddr::new(address, port);
                    let failed = |source| FarmError::bind(WHAT, at, ordinal, count, source);
                    let socket = std::net::UdpSocket::bind(at).map_err(failed)?;
                    socket.set_nonblocking(true).map_err(failed)?;
                    Ok((socket.local_addr().map_err(failed)?.port(), socket))
                })
                .collect::<Result<_, FarmError>>()?;
            Ok(Udp::Ports { address, sockets })
        }
        Layout::Paths { .. } => Ok(Udp::Nothing), // refused before
    }
}

fn wildcard(port: u16, shared: bool) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    only_loopback(&socket);
    if shared {
        socket.set_reuse_port(true)?;
    }
    if let Err(error) = socket.set_recv_buffer_size(RECEIVE_BUFFER) {
        tracing::debug!(%error, "could not enlarge a receive buffer");
    }
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port).into())?;
    Ok(socket.into())
}

/// Ties a wildcard socket to the loopback device, where the system allows it. Datagrams to other addresses than the
/// BMCs' are ignored anyway, so a refusal costs nothing but a closed port that looks open.
pub(super) fn only_loopback(socket: &Socket) {
    if let Err(error) = socket.bind_device(Some(b"lo")) {
        tracing::debug!(%error, "could not tie a socket to the loopback device");
    }
}

impl Udp {
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Nothing => Place::Nowhere,
            Self::Lanes { first, port, .. } => Place::Addresses {
                first: *first,
                port: *port,
            },
            Self::Ports { address, sockets } => Place::Ports {
                address: *address,
                ports: sockets.iter().map(|(port, _)| *port).collect(),
            },
        }
    }

    /// Starts the tasks that serve the sockets.
    pub(super) fn start(
        self,
        shared: &Arc<Shared>,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Result<(), FarmError> {
        let delayed = Arc::new(AtomicUsize::new(0));
        let failed = |source| {
            FarmError::bind(
                "simulated IPMI",
                SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
                0,
                0,
                source,
            )
        };
        match self {
            Self::Nothing => {}
            Self::Lanes { first, sockets, .. } => {
                for socket in sockets {
                    let state = UdpSocketState::new((&socket).into()).map_err(failed)?;
                    let lane = Lane {
                        shared: Arc::clone(shared),
                        first,
                        socket: UdpSocket::from_std(socket).map_err(failed)?,
                        state,
                        delayed: Arc::clone(&delayed),
                    };
                    let stop = stop.clone();
                    tasks.spawn(async move {
                        stop.run_until_cancelled(Arc::new(lane).run()).await;
                    });
                }
            }
            Self::Ports { sockets, .. } => {
                for ((_, socket), ordinal) in sockets.into_iter().zip(0..) {
                    let Some(machine) = shared.census.ipmi_machine(ordinal) else {
                        continue;
                    };
                    let port = Arc::new(Port {
                        shared: Arc::clone(shared),
                        machine,
                        socket: UdpSocket::from_std(socket).map_err(failed)?,
                        delayed: Arc::clone(&delayed),
                    });
                    let stop = stop.clone();
                    tasks.spawn(async move {
                        stop.run_until_cancelled(port.run()).await;
                    });
                }
            }
        }
        Ok(())
    }
}

/// Hands a datagram to its BMC. The answer is in `out`; the result is how long it has to wait, or `None` for silence.
fn deliver(
    shared: &Shared,
    machine: u32,
    remote: SocketAddr,
    datagram: &[u8],
    clear: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Option<Duration> {
    out.clear();
    let queued = shared.pass_switch();
    let mut bmc = shared.bmc(machine)?;
    let Some(queued) = queued else {
        bmc.core.counters.swallowed += 1;
        return None;
    };
    match bmc.datagram(shared.now(), remote, datagram, clear, out) {
        Reaction::Answer((), delay) | Reaction::Cut((), delay) => Some(delay + queued),
        Reaction::Silence | Reaction::Hangup => None,
    }
}

/// Runs `send` after `delay`, unless too many answers wait already.
fn later(delayed: &Arc<AtomicUsize>, delay: Duration, send: impl FnOnce() + Send + 'static) {
    if delayed.fetch_add(1, Ordering::Relaxed) >= DELAYED_MAX {
        delayed.fetch_sub(1, Ordering::Relaxed);
        return;
    }
    let delayed = Arc::clone(delayed);
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        delayed.fetch_sub(1, Ordering::Relaxed);
        send();
    });
}

// --- One address per BMC ------------------------------------------------------------------------

struct Lane {
    shared: Arc<Shared>,
    first: Ipv4Addr,
    socket: UdpSocket,
    state: UdpSocketState,
    delayed: Arc<AtomicUsize>,
}

/// Buffers of one lane.
struct Room {
    slots: Vec<u8>,
    clear: Vec<u8>,
    out: Vec<u8>,
}

impl Lane {
    async fn run(self: Arc<Self>) {
        let mut room = Room {
            slots: vec![0; BATCH_SIZE * SLOT],
            clear: Vec::with_capacity(256),
            out: Vec::with_capacity(256),
        };
        loop {
            if let Err(error) = self.socket.readable().await {
                tracing::error!(%error, "a simulated BMC socket broke");
                return;
            }
            self.drain(&mut room);
        }
    }

    /// Takes one batch and answers it.
    fn drain(self: &Arc<Self>, room: &mut Room) {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let got = {
            let mut chunks = room.slots.chunks_exact_mut(SLOT);
            let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
                std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
            self.socket.try_io(Interest::READABLE, || {
                self.state
                    .recv((&self.socket).into(), &mut slices, &mut metas)
            })
        };
        let got = match got {
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                // An ICMP error of an earlier answer; the socket itself is well.
                tracing::debug!(%error, "a simulated BMC socket reported an error");
                return;
            }
        };
        let Room { slots, clear, out } = room;
        for (meta, slot) in metas.iter().take(got).zip(slots.chunks_exact(SLOT)) {
            let Some(IpAddr::V4(address)) = meta.dst_ip else {
                continue;
            };
            let machine = ordinal_of(self.first, address)
                .and_then(|ordinal| self.shared.census.ipmi_machine(ordinal));
            let (Some(machine), Some(bytes)) = (machine, slot.get(..meta.len)) else {
                continue;
            };
            // A sender with segmentation offload may have several datagrams arrive as one.
            for datagram in bytes.chunks(meta.stride.max(1)) {
                let delay = deliver(&self.shared, machine, meta.addr, datagram, clear, out);
                match delay {
                    None => {}
                    Some(Duration::ZERO) => self.send(meta.addr, address, out),
                    Some(delay) => {
                        let (lane, to, bytes) = (Arc::clone(self), meta.addr, out.clone());
                        later(&self.delayed, delay, move || lane.send(to, address, &bytes));
                    }
                }
            }
        }
    }

    fn send(&self, destination: SocketAddr, source: Ipv4Addr, contents: &[u8]) {
        let transmit = Transmit {
            destination,
            ecn: None,
            contents,
            segment_size: None,
            src_ip: Some(source.into()),
        };
        // A full send buffer loses the answer, as a network would.
        if let Err(error) = self.state.try_send((&self.socket).into(), &transmit) {
            tracing::debug!(%error, "an answer of a simulated BMC was not sent");
        }
    }
}

// --- One port per BMC ---------------------------------------------------------------------------

struct Port {
    shared: Arc<Shared>,
    machine: u32,
    socket: UdpSocket,
    delayed: Arc<AtomicUsize>,
}

thread_local! {
    /// Buffers for the sockets of all ports that this thread serves: idle sockets own none.
    static ROOM: RefCell<Room> = RefCell::new(Room {
        slots: vec![0; SLOT],
        clear: Vec::with_capacity(256),
        out: Vec::with_capacity(256),
    });
}

impl Port {
    async fn run(self: Arc<Self>) {
        loop {
            if let Err(error) = self.socket.readable().await {
                tracing::error!(%error, "a simulated BMC socket broke");
                return;
            }
            ROOM.with_borrow_mut(|room| self.take(room));
        }
    }

    /// Takes one datagram and answers it.
    fn take(self: &Arc<Self>, room: &mut Room) {
        let Room { slots, clear, out } = room;
        let (length, remote) = match self.socket.try_recv_from(slots) {
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                tracing::debug!(%error, "a simulated BMC socket reported an error");
                return;
            }
        };
        let datagram = slots.get(..length).unwrap_or_default();
        match deliver(&self.shared, self.machine, remote, datagram, clear, out) {
            None => {}
            Some(Duration::ZERO) => self.send(remote, out),
            Some(delay) => {
                let (port, bytes) = (Arc::clone(self), out.clone());
                later(&self.delayed, delay, move || port.send(remote, &bytes));
            }
        }
    }

    fn send(&self, remote: SocketAddr, bytes: &[u8]) {
        if let Err(error) = self.socket.try_send_to(bytes, remote) {
            tracing::debug!(%error, "an answer of a simulated BMC was not sent");
        }
    }
}
