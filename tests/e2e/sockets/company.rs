//! A slow reader, readers that never read and a flooding writer among a thousand sockets: nobody else is harmed, and the node
//! keeps its size.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use http::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tomato_tests::client::{Api, Request, connections};
use tomato_tests::settings::RegionFile;
use tomato_tests::stack::{Stack, StackPlan};
use tomato_tests::wait::poll_until;

use super::{PATIENCE, Socket, next, open, user};
use crate::once::shop_of;

const SOCKETS: usize = 1_000;
/// Opened at a time.
const AT_ONCE: usize = 50;
/// Customers who order in a round.
const BUYERS: usize = 30;
/// Most that the node may grow by while bad company is there.
const GROWTH_MAX_KIB: u64 = 64 * 1024;
/// Most memory of one idle socket, buffers of the HTTP server included.
const SOCKET_MAX_KIB: u64 = 96;

/// A well-behaved client: says when it hears of an order.
struct Good {
    heard: mpsc::UnboundedReceiver<String>,
    api: Api,
}

async fn rss_kib(stack: &mut Stack) -> u64 {
    let pid = stack.node("blr").server.pid().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Reads everything, for as long as the socket lasts.
async fn listen(
    mut socket: Socket,
    heard: mpsc::UnboundedSender<String>,
    (open, stop): (Arc<AtomicUsize>, Arc<AtomicBool>),
) {
    open.fetch_add(1, Ordering::Relaxed);
    while let Some(frame) = next(&mut socket).await {
        if frame["type"] == "ORDER_CONFIRMED" {
            heard.send(frame["order_id"].as_str().unwrap().to_owned()).ok();
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    open.fetch_sub(1, Ordering::Relaxed);
}

/// Each buyer orders once and hears of it; the median of how long that takes.
async fn round(buyers: &mut [Good], order: &Value, key: &str) -> Duration {
    let mut took = Vec::new();
    for (nth, buyer) in buyers.iter_mut().enumerate() {
        let request = Request::new(Method::POST, "/v1/orders")
            .header("idempotency-key", format!("{key}-{nth}"))
            .json(order);
        let began = Instant::now();
        let placed = buyer.api.send(&request).await.unwrap();
        assert_eq!(placed.status, 201, "{}", placed.json());
        let id = placed.json()["id"].as_str().unwrap().to_owned();
        while tokio::time::timeout(PATIENCE, buyer.heard.recv())
            .await
            .unwrap()
            .unwrap()
            != id
        {}
        took.push(began.elapsed());
    }
    took.sort();
    took[took.len() / 2]
}

/// Writes without end until the node has had enough, again and again. Counts how often that was said, and why.
async fn flood(base: String, token: String, (stop, closed): (Arc<AtomicBool>, Arc<AtomicUsize>)) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(socket) = open(&base, &token, None).await else {
            continue;
        };
        let (mut sink, mut stream) = socket.split();
        let writing = async { while sink.send(Message::text("x".repeat(1_000))).await.is_ok() {} };
        let reading = async {
            while let Some(Ok(frame)) = stream.next().await {
                if let Message::Close(Some(CloseFrame { reason, .. })) = frame
                    && reason == "too_many_frames"
                {
                    closed.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        tokio::select! {
            () = writing => {}
            () = reading => {}
        }
    }
}

/// Everybody else.
async fn crowd(
    stack: &Stack,
    (base, anybody): (&str, &Api),
    (there, stop): (&Arc<AtomicUsize>, &Arc<AtomicBool>),
) -> Vec<Good> {
    let mut good = Vec::new();
    for group in (0..SOCKETS).collect::<Vec<_>>().chunks(AT_ONCE) {
        let opened = group.iter().map(|nth| {
            let token = stack.issuer.customer(user(*nth));
            let base = base.to_owned();
            async move { (open(&base, &token, None).await.unwrap(), token) }
        });
        for (socket, token) in join_all(opened).await {
            let (say, heard) = mpsc::unbounded_channel();
            tokio::spawn(listen(socket, say, (there.clone(), stop.clone())));
            let api = anybody.with_token(&token);
            good.push(Good { heard, api });
        }
    }
    good
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_company_among_a_thousand_sockets_harms_nobody() {
    let plan = StackPlan::default().region_file(RegionFile::named("blr").set("orders.open_max", 1_000));
    let (mut stack, anybody, mut order) = shop_of(plan).await;
    order["payment"] = json!({"method": "cash"});
    let base = stack.node("blr").server.base().to_owned();
    let alone_kib = rss_kib(&mut stack).await;
    let (there, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut good = crowd(&stack, (&base, &anybody), (&there, &stop)).await;
    let without = round(&mut good[..BUYERS], &order, "without").await;
    let crowd_kib = rss_kib(&mut stack).await;

    // Operators hear of everything, so theirs is the most that a socket can be sent.
    let operator = stack.issuer.operator();
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(open(&base, &operator, None).await.unwrap());
    }
    let read = Arc::new(AtomicUsize::new(0));
    let slow = tokio::spawn(dawdle(open(&base, &operator, None).await.unwrap(), read.clone()));
    let floods = Arc::new(AtomicUsize::new(0));
    let flooding = flood(
        base.clone(),
        stack.issuer.customer(user(SOCKETS)),
        (stop.clone(), floods.clone()),
    );
    let flooding = tokio::spawn(flooding);
    let flooded = async || (floods.load(Ordering::Relaxed) > 0).then_some(());
    poll_until("the flood is shut out", PATIENCE, flooded).await.unwrap();
    let with = round(&mut good[BUYERS..BUYERS * 2], &order, "with").await;
    let again = round(&mut good[BUYERS * 2..BUYERS * 3], &order, "again").await;
    // Those who never read are found out by their silence; then there is the slow one, and the flood or not.
    let admin = admin(&mut stack);
    let found_out = async || sockets_open(&admin).await.filter(|open| *open <= SOCKETS + 2);
    poll_until("the silent are let go", PATIENCE, found_out).await.unwrap();
    for socket in &mut silent {
        assert!(is_over(socket).await);
    }
    assert!(
        !slow.is_finished() && read.load(Ordering::Relaxed) > BUYERS,
        "who is slow is not thrown out"
    );
    slow.abort();
    let worst_kib = rss_kib(&mut stack).await;

    assert_eq!(
        there.load(Ordering::Relaxed),
        SOCKETS,
        "every other socket is still open"
    );
    eprintln!(
        "RSS {alone_kib} KiB, with {SOCKETS} sockets {crowd_kib} KiB, with bad company {worst_kib} KiB; \
         order to frame {without:?} without, {with:?} and {again:?} with it; {} floods",
        floods.load(Ordering::Relaxed)
    );
    assert!(
        crowd_kib.saturating_sub(alone_kib) < SOCKETS as u64 * SOCKET_MAX_KIB,
        "{alone_kib} to {crowd_kib} KiB"
    );
    assert!(
        worst_kib.saturating_sub(crowd_kib) < GROWTH_MAX_KIB,
        "{crowd_kib} to {worst_kib} KiB"
    );
    // Side by side in one run; the machine may be busy with something else, but not by so much.
    assert!(
        with.min(again) < without * 20,
        "{without:?} without, {with:?} and {again:?} with"
    );
    stop.store(true, Ordering::Relaxed);
    tokio::time::timeout(PATIENCE, flooding).await.unwrap().unwrap();
    stack.stop().await.unwrap();
}

/// The port for whoever runs the node.
fn admin(stack: &mut Stack) -> Api {
    let file = stack.node("blr").server.data().parent().unwrap().join("blr.toml");
    let config: toml::Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
    let listen = config["admin"]["listen"].as_str().unwrap();
    Api::new(&connections(), &format!("http://{listen}"))
}

/// Reads a frame now and then, for as long as the socket lasts.
async fn dawdle(mut socket: Socket, read: Arc<AtomicUsize>) {
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    while next(&mut socket).await.is_some() {
        read.fetch_add(1, Ordering::Relaxed);
        pace.tick().await;
    }
}

/// How many sockets the node has, by its own count.
async fn sockets_open(admin: &Api) -> Option<usize> {
    let page = admin.send(&Request::new(Method::GET, "/metrics")).await.ok()?;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    let line = page.lines().find(|line| line.starts_with("tomato_sockets_open{"))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Whether the node has ended a socket, which is read up to its end. Its last words may be lost: what a client answers to
/// pings of long ago finds nobody, and the machine then throws the rest away.
async fn is_over(socket: &mut Socket) -> bool {
    let read = async { while let Some(Ok(_)) = socket.next().await {} };
    tokio::time::timeout(PATIENCE, read).await.is_ok()
}
