//! Free TCP ports on loopback.
//!
//! Ports are taken from below the range from which Linux takes the ports of outgoing connections (32768 and up):
//! a process that is killed and started again must find its port free, though others connect in between.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A loopback address that nobody listens on. Never the same one twice within a process; processes begin at places
/// that depend on their id, so that test programs running side by side rarely look at the same port.
pub fn free() -> SocketAddr {
    for _ in 0..COUNT {
        let start = std::process::id().wrapping_mul(2_654_435_761) % COUNT;
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + offset).expect("below 32000");
        if is_free(port) {
            return SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        }
    }
    panic!("no free TCP port between {FIRST} and {}", FIRST + COUNT);
}

/// Whether a program could listen on the port of loopback now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_differ() {
        let (first, second) = (free(), free());
        assert_ne!(first, second);
        let held = TcpListener::bind(first).unwrap();
        assert!(!is_free(held.local_addr().unwrap().port()));
    }
}
