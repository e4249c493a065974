//! The network as TCP's users know it.

use super::*;
use std::task::Waker;

/// A connection from host 1 to host 2: what each end reads from and writes to.
fn connected(net: &Net) -> ((u64, u64), (u64, u64)) {
    let mut cx = Context::from_waker(Waker::noop());
    let address = address_of(2);
    net.set_power(1, true);
    net.set_power(2, true);
    let door = net.listen(2, &address);
    let connecting = net.connect(1, &address);
    for now in 1..20 {
        net.deliver(now);
        if let Poll::Ready(here) = connecting.poll(&mut cx) {
            let Poll::Ready(Ok((from, read, write))) = net.poll_accept(&address, door, &mut cx)
            else {
                panic!("a caller was told yes before it was let in");
            };
            assert_eq!(from, 1);
            return (here.unwrap(), (read, write));
        }
    }
    panic!("no connection was made");
}

fn write(net: &Net, pipe: u64, bytes: &[u8]) -> io::Result<usize> {
    match net.poll_write(pipe, &mut Context::from_waker(Waker::noop()), bytes) {
        Poll::Ready(written) => written,
        Poll::Pending => panic!("the window is full"),
    }
}

/// What can be read now; `None` if nothing can.
fn read(net: &Net, pipe: u64) -> Option<io::Result<Vec<u8>>> {
    let mut room = [0; 64];
    let mut buf = ReadBuf::new(&mut room);
    match net.poll_read(pipe, &mut Context::from_waker(Waker::noop()), &mut buf) {
        Poll::Ready(done) => Some(done.map(|()| buf.filled().to_vec())),
        Poll::Pending => None,
    }
}

#[test]
fn a_cut_delays_and_reorders_nothing() {
    let net = Net::new(Rng::seeded(1));
    let ((_, out), (inbox, _)) = connected(&net);
    write(&net, out, b"a").unwrap();
    net.set_cut(1, 2, true);
    net.deliver(1000);
    write(&net, out, b"b").unwrap();
    net.deliver(2000);
    assert!(read(&net, inbox).is_none(), "it came through a cut");
    net.set_cut(1, 2, false);
    write(&net, out, b"c").unwrap();
    net.deliver(3000);
    assert_eq!(read(&net, inbox).unwrap().unwrap(), b"abc");
}

#[test]
fn a_killed_process_resets_its_connections_and_a_dark_host_does_not() {
    for loud in [true, false] {
        let net = Net::new(Rng::seeded(1));
        let ((inbox, out), _) = connected(&net);
        net.kill(2, loud);
        net.set_power(2, loud);
        net.deliver(1000);
        assert_eq!(read(&net, inbox).is_some_and(|read| read.is_err()), loud);
        if !loud {
            write(&net, out, b"anybody?").unwrap();
            net.deliver(2000);
            assert!(read(&net, inbox).is_none(), "a dark host answered");
            net.set_power(2, true);
            write(&net, out, b"anybody?").unwrap();
            // There, and the answer back.
            net.deliver(3000);
            net.deliver(4000);
            assert!(read(&net, inbox).unwrap().is_err());
        }
    }
}
