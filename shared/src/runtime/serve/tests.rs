use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::*;

struct Running {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<io::Result<Drained>>,
    /// Says that a request reached `/slow`; a message to it lets that request finish.
    entered: mpsc::Receiver<oneshot::Sender<()>>,
}

fn start(limits: ServeLimits) -> Running {
    let (enter, entered) = mpsc::channel(8);
    let slow = move || {
        let enter = enter.clone();
        async move {
            let (release, released) = oneshot::channel();
            enter.send(release).await.unwrap();
            released.await.ok();
            "slow"
        }
    };
    let echo = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(Message::Text(text))) = socket.recv().await {
                socket.send(Message::Text(text)).await.unwrap();
            }
        })
    };
    let router = Router::new()
        .route(
            "/",
            get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }),
        )
        .route("/slow", get(slow))
        .route("/ws", get(echo));
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let done = tokio::spawn(serve(listener, router, limits, async { stopped.await.unwrap_or(()) }));
    Running {
        addr,
        stop,
        done,
        entered,
    }
}

/// Reads until the answer's body is there, or the server closes.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        text.push_str(&String::from_utf8_lossy(buffer.get(..count).unwrap()));
        let complete = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            length.is_some_and(|length| body.len() >= length.parse::<usize>().unwrap())
        });
        if count == 0 || complete {
            return text;
        }
    }
}

async fn ask(stream: &mut TcpStream, path: &str) -> String {
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
        .await
        .unwrap();
    answer(stream).await
}

#[tokio::test]
async fn requests_on_one_connection_see_their_peer() {
    let running = start(ServeLimits::default());
    let mut stream = TcpStream::connect(running.addr).await.unwrap();
    let local = stream.local_addr().unwrap().to_string();
    for _ in 0..3 {
        assert!(ask(&mut stream, "/").await.ends_with(&local));
    }
    running.stop.send(()).unwrap();
    assert_eq!(running.done.await.unwrap().unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn open_requests_finish_and_idle_connections_close_at_shutdown() {
    let mut running = start(ServeLimits::default());
    let mut idle = TcpStream::connect(running.addr).await.unwrap();
    ask(&mut idle, "/").await;
    let mut busy = TcpStream::connect(running.addr).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let release = running.entered.recv().await.unwrap();
    running.stop.send(()).unwrap();
    assert_eq!(answer(&mut idle).await, "", "closed");
    release.send(()).unwrap();
    assert!(answer(&mut busy).await.ends_with("slow"));
    assert_eq!(running.done.await.unwrap().unwrap(), Drained { cut: 0 });
    assert!(TcpStream::connect(running.addr).await.is_err());
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut() {
    let mut running = start(ServeLimits {
        drain_ms: 50,
        ..ServeLimits::default()
    });
    let mut busy = TcpStream::connect(running.addr).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let _release = running.entered.recv().await.unwrap();
    running.stop.send(()).unwrap();
    assert_eq!(running.done.await.unwrap().unwrap(), Drained { cut: 1 });
    assert_eq!(answer(&mut busy).await, "");
}

#[tokio::test]
async fn silent_and_slow_clients_are_closed() {
    let running = start(ServeLimits {
        header_read_timeout_ms: 100,
        ..ServeLimits::default()
    });
    let mut silent = TcpStream::connect(running.addr).await.unwrap();
    let mut slow = TcpStream::connect(running.addr).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
    let mut idle = TcpStream::connect(running.addr).await.unwrap();
    ask(&mut idle, "/").await;
    for stream in [&mut silent, &mut slow, &mut idle] {
        let text = answer(stream).await;
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    }
}

#[tokio::test]
async fn oversized_heads_are_refused() {
    let running = start(ServeLimits::default());
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "x".repeat(17_000));
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(70));
    for request in [long, many] {
        let mut stream = TcpStream::connect(running.addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 431"));
    }
    let fitting = format!("GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "x".repeat(15_000));
    let mut stream = TcpStream::connect(running.addr).await.unwrap();
    stream.write_all(fitting.as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_a_place() {
    let mut running = start(ServeLimits {
        max_connections: 1,
        ..ServeLimits::default()
    });
    let mut first = TcpStream::connect(running.addr).await.unwrap();
    first.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let release = running.entered.recv().await.unwrap();
    let mut second = TcpStream::connect(running.addr).await.unwrap();
    second
        .write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(100), running.entered.recv()).await;
    assert!(waiting.is_err(), "the second connection was taken");
    release.send(()).unwrap();
    assert!(answer(&mut first).await.ends_with("slow"));
    drop(first);
    running.entered.recv().await.unwrap().send(()).unwrap();
    assert!(answer(&mut second).await.ends_with("slow"));
}

#[tokio::test]
async fn websockets_upgrade_and_keep_their_place() {
    let running = start(ServeLimits {
        max_connections: 1,
        drain_ms: 50,
        ..ServeLimits::default()
    });
    let mut socket = TcpStream::connect(running.addr).await.unwrap();
    let upgrade = "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(upgrade.as_bytes()).await.unwrap();
    let mut head = vec![0; 1024];
    let count = socket.read(&mut head).await.unwrap();
    assert!(head.get(..count).unwrap().starts_with(b"HTTP/1.1 101"));
    // A masked text frame "hi" with the mask 0, and its unmasked echo.
    socket.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await.unwrap();
    let mut echo = [0; 4];
    socket.read_exact(&mut echo).await.unwrap();
    assert_eq!(echo, [0x81, 0x02, b'h', b'i']);
    running.stop.send(()).unwrap();
    assert_eq!(
        running.done.await.unwrap().unwrap(),
        Drained { cut: 1 },
        "the socket is still counted"
    );
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let held = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = held.local_addr().unwrap();
    let text = bind(addr).unwrap_err().to_string();
    assert!(
        text.contains(&addr.to_string()) && text.contains("configure another one"),
        "{text}"
    );
    assert!(raise_open_files() >= 1024);
}
