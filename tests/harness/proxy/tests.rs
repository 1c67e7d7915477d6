//! Each fault does what it says, and nothing else.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(20);
/// Long enough that a byte on loopback would have come.
const SILENCE: Duration = Duration::from_millis(150);

/// A server, a proxy before it, and a connection through both.
struct Line {
    listener: TcpListener,
    proxy: Proxy,
    client: TcpStream,
    server: TcpStream,
}

async fn line() -> Line {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).unwrap();
    let (client, server) = connect(&proxy, &listener).await;
    Line {
        listener,
        proxy,
        client,
        server,
    }
}

async fn connect(proxy: &Proxy, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let before = proxy.connections();
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    let (server, _) = tokio::time::timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
    // The kernel has accepted; the proxy may not have noticed yet, and what strikes it now would strike a dial.
    wait_until("the proxy's connection", LIMIT, async || {
        (proxy.connections() > before).then_some(())
    })
    .await;
    (client, server)
}

async fn passes(from: &mut TcpStream, to: &mut TcpStream, text: &[u8]) {
    from.write_all(text).await.unwrap();
    arrives(to, text).await;
}

async fn arrives(to: &mut TcpStream, text: &[u8]) {
    let mut heard = vec![0; text.len()];
    let read = tokio::time::timeout(LIMIT, to.read_exact(&mut heard));
    read.await.unwrap().unwrap();
    assert_eq!(heard, text);
}

/// Neither a byte nor an end.
async fn hears_nothing(stream: &mut TcpStream) {
    let mut byte = [0];
    let read = tokio::time::timeout(SILENCE, stream.read(&mut byte));
    assert!(read.await.is_err(), "something came");
}

async fn is_reset(stream: &mut TcpStream) {
    let mut byte = [0];
    let read = tokio::time::timeout(LIMIT, stream.read(&mut byte)).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn everything_passes_and_ends_as_it_does_without() {
    let mut line = line().await;
    passes(&mut line.client, &mut line.server, b"ping").await;
    passes(&mut line.server, &mut line.client, b"pong!").await;
    wait_until("the count", LIMIT, async || {
        let counts = (line.proxy.carried(Way::ToServer), line.proxy.carried(Way::ToClient));
        (counts == (4, 5)).then_some(())
    })
    .await;
    assert_eq!(line.proxy.connections(), 1);
    line.client.shutdown().await.unwrap();
    assert_eq!(line.server.read(&mut [0]).await.unwrap(), 0, "the end passes too");
    passes(&mut line.server, &mut line.client, b"and the other half stays open").await;
}

#[tokio::test]
async fn cut_is_silent_and_after_it_everything_arrives_in_order() {
    let mut line = line().await;
    line.proxy.cut();
    line.client.write_all(b"one ").await.unwrap();
    line.server.write_all(b"uno ").await.unwrap();
    let mut late = TcpStream::connect(line.proxy.address()).await.unwrap();
    hears_nothing(&mut line.server).await;
    hears_nothing(&mut line.client).await;
    hears_nothing(&mut late).await;
    line.client.write_all(b"two").await.unwrap();
    line.proxy.heal();
    arrives(&mut line.server, b"one two").await;
    arrives(&mut line.client, b"uno ").await;
    let (mut accepted, _) = line.listener.accept().await.unwrap();
    passes(&mut late, &mut accepted, b"late").await;
}

#[tokio::test]
async fn cut_one_way_leaves_the_other() {
    for way in [Way::ToServer, Way::ToClient] {
        let Line {
            proxy,
            client,
            server,
            listener: _listener,
        } = line().await;
        let (mut cut, mut silent) = if way == Way::ToServer {
            (client, server)
        } else {
            (server, client)
        };
        proxy.cut_one_way(way);
        cut.write_all(b"lost?").await.unwrap();
        passes(&mut silent, &mut cut, b"heard").await;
        hears_nothing(&mut silent).await;
        proxy.heal();
        arrives(&mut silent, b"lost?").await;
    }
}

#[tokio::test]
async fn reset_ends_both_ends_and_lets_new_ones_in() {
    let mut line = line().await;
    line.proxy.reset();
    is_reset(&mut line.client).await;
    is_reset(&mut line.server).await;
    let (mut client, mut server) = connect(&line.proxy, &line.listener).await;
    passes(&mut client, &mut server, b"anew").await;
}

#[tokio::test]
async fn refusal_resets_old_and_new_until_healed() {
    let mut line = line().await;
    line.proxy.refuse();
    is_reset(&mut line.client).await;
    let mut refused = TcpStream::connect(line.proxy.address()).await.unwrap();
    is_reset(&mut refused).await;
    line.proxy.heal();
    let (mut client, mut server) = connect(&line.proxy, &line.listener).await;
    passes(&mut client, &mut server, b"anew").await;
}

#[tokio::test]
async fn half_open_end_is_told_nothing_and_speaks_to_nobody() {
    for left in [End::Client, End::Server] {
        let Line {
            proxy,
            client,
            server,
            listener,
        } = line().await;
        let (mut kept, mut gone) = if left == End::Client {
            (client, server)
        } else {
            (server, client)
        };
        proxy.half_open(left);
        is_reset(&mut gone).await;
        kept.write_all(b"is anybody there?").await.unwrap();
        hears_nothing(&mut kept).await;
        let (mut client, mut server) = connect(&proxy, &listener).await;
        passes(&mut client, &mut server, b"others pass").await;
        proxy.reset();
        is_reset(&mut kept).await;
    }
}

#[tokio::test]
async fn delay_keeps_order_and_is_at_least_what_was_asked() {
    let mut line = line().await;
    line.proxy.delay(Duration::from_millis(200));
    let start = Instant::now();
    for part in [b"ab", b"cd", b"ef"] {
        line.client.write_all(part).await.unwrap();
    }
    arrives(&mut line.server, b"abcdef").await;
    assert!(start.elapsed() >= Duration::from_millis(200));
}
