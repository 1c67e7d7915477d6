//! The WebSocket, over real TCP.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tomato_shared::id::OrderId;
use tomato_shared::runtime::serve::{self, ServeLimits};

use super::super::live::{BEAT, GATHER, NAMED, SEND_WITHIN, SILENT_BEATS};
use super::*;
use crate::changes::{Change, Moved};

type Page = WebSocketStream<TcpStream>;

/// The longest any message may take. Far above what is needed, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The API on a port.
async fn serve(api: &Api) -> std::net::SocketAddr {
    let listener = serve::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = listener.local_addr().unwrap();
    let served = serve::serve(
        listener,
        api.router.clone(),
        ServeLimits::default(),
        std::future::pending(),
    );
    tokio::spawn(served);
    addr
}

/// Opens a socket as a browser does: the token is a subprotocol.
async fn open(addr: std::net::SocketAddr, token: &str) -> Result<Page, Error> {
    let protocols = format!("json, bearer.{token}");
    connect(addr, &[("sec-websocket-protocol", protocols)], None).await
}

async fn connect(
    addr: std::net::SocketAddr,
    headers: &[(&'static str, String)],
    buffer: Option<u32>,
) -> Result<Page, Error> {
    let mut request = format!("ws://{addr}/v1/live").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(bytes) = buffer {
        socket.set_recv_buffer_size(bytes).unwrap();
    }
    let stream = socket.connect(addr).await.unwrap();
    let (page, response) = client_async(request, stream).await?;
    let offered = headers.iter().any(|(name, _)| *name == "sec-websocket-protocol");
    let selected = response.headers().get("sec-websocket-protocol");
    assert_eq!(selected.is_some(), offered, "a browser gives up unless one is selected");
    assert!(selected.is_none_or(|name| name == "json"), "and never the token");
    Ok(page)
}

/// The next message, or how the socket was closed.
async fn next(page: &mut Page) -> Result<Value, String> {
    // Pings must not make a test wait for ever.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match tokio::time::timeout_at(deadline, page.next()).await.expect("silence") {
            Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(Some(frame)))) => return Err(format!("{} {}", u16::from(frame.code), frame.reason)),
            Some(Ok(Message::Close(None)) | Err(_)) | None => return Err("gone".into()),
        }
    }
}

/// The first message: read everything.
async fn greeted(page: &mut Page) {
    let first = next(page).await.unwrap();
    assert_eq!(
        first,
        serde_json::json!({"resync": true, "alerts": false, "regions": {}})
    );
}

fn order(n: u64) -> OrderId {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&n.to_be_bytes());
    OrderId::v7(START, random)
}

fn change(regions: &[(&str, u64, std::ops::Range<u64>)]) -> Change {
    let moved = |(region, applied_seq, orders): &(&str, u64, std::ops::Range<u64>)| {
        let moved = Moved {
            applied_seq: *applied_seq,
            orders: orders.clone().map(order).collect(),
        };
        (region.parse().unwrap(), moved)
    };
    Change {
        regions: regions.iter().map(moved).collect(),
        alerts: false,
    }
}

#[tokio::test]
async fn only_operators_listen_with_whatever_access() {
    let api = Api::bare(Access::Viewer);
    let addr = serve(&api).await;
    let refused = |outcome: Result<Page, Error>| match outcome.map(drop) {
        Err(Error::Http(response)) => {
            let body: Value = serde_json::from_slice(response.body().as_deref().unwrap()).unwrap();
            (response.status().as_u16(), body["code"].as_str().unwrap().to_owned())
        }
        other => panic!("{other:?}"),
    };
    let code = |(status, code): (u16, &str)| (status, code.to_owned());
    let nobody = connect(addr, &[], None).await;
    assert_eq!(refused(nobody), code((401, "token_missing")));
    let protocol = |text: &str| [("sec-websocket-protocol", text.to_owned())];
    let nothing = connect(addr, &protocol("json"), None).await;
    assert_eq!(refused(nothing), code((401, "token_missing")));
    assert_eq!(refused(open(addr, "no.such.token").await).0, 401);
    let expired = api.token_for(-60, Role::Operator, None);
    assert_eq!(refused(open(addr, &expired).await), code((401, "token_expired")));
    let stranger = Api::bare(Access::Viewer).token(Role::Operator, None);
    assert_eq!(refused(open(addr, &stranger).await).0, 401, "signed with another key");
    for role in [Role::Customer, Role::Restaurant, Role::Driver, Role::Service] {
        let other = api.token(role, None);
        assert_eq!(refused(open(addr, &other).await), code((403, "forbidden")), "{role:?}");
    }
    let viewer = api.token(Role::Operator, None);
    greeted(&mut open(addr, &viewer).await.unwrap()).await;
    let bearer = [("authorization", format!("Bearer {viewer}"))];
    greeted(&mut connect(addr, &bearer, None).await.unwrap()).await;
}

#[tokio::test]
async fn each_hears_of_their_own_regions_alone() {
    let api = Api::bare(Access::Operator);
    let addr = serve(&api).await;
    let mut all = open(addr, &api.token(Role::Operator, None)).await.unwrap();
    let mut ams = open(addr, &api.token(Role::Operator, Some(&["ams"]))).await.unwrap();
    let mut none = open(addr, &api.token(Role::Operator, Some(&[]))).await.unwrap();
    for page in [&mut all, &mut ams, &mut none] {
        greeted(page).await;
    }
    let many = 10..10 + 3 * NAMED as u64;
    api.changes.tell(change(&[("ams", 7, 0..1), ("blr", 80, many.clone())]));
    let told = next(&mut all).await.unwrap();
    assert_eq!(
        (&told["resync"], &told["regions"]["ams"]["applied_seq"]),
        (&false.into(), &7.into())
    );
    let blr = &told["regions"]["blr"];
    assert_eq!(
        (&blr["applied_seq"], &blr["changed"]),
        (&80.into(), &(3 * NAMED).into())
    );
    let named: Vec<_> = many.take(NAMED).map(|n| order(n).to_string()).collect();
    assert_eq!(
        blr["orders"],
        serde_json::json!(named),
        "so many are named, the rest is counted"
    );
    let only = serde_json::json!({"ams": {"applied_seq": 7, "orders": [order(0)], "changed": 1}});
    assert_eq!(next(&mut ams).await.unwrap()["regions"], only);

    // Whoever may not see it does not even hear that there was something.
    api.changes.tell(change(&[("blr", 81, 0..1)]));
    api.changes.tell(Change {
        alerts: true,
        ..Change::default()
    });
    for page in [&mut ams, &mut none] {
        let told = next(page).await.unwrap();
        assert_eq!(
            told,
            serde_json::json!({"resync": false, "alerts": true, "regions": {}})
        );
    }
}

#[tokio::test]
async fn at_most_four_messages_a_second_also_after_a_quiet_time() {
    let api = Api::bare(Access::Operator);
    let addr = serve(&api).await;
    let mut page = open(addr, &api.token(Role::Operator, None)).await.unwrap();
    greeted(&mut page).await;
    tokio::time::pause();
    tokio::time::advance(20 * GATHER).await;
    tokio::time::resume();
    let began = std::time::Instant::now();
    let rounds = 4;
    for seq in 0..rounds {
        api.changes.tell(change(&[("blr", u64::from(seq), 0..1)]));
        let told = next(&mut page).await.unwrap();
        assert_eq!(told["regions"]["blr"]["applied_seq"], seq);
    }
    assert!(began.elapsed() >= GATHER * (rounds - 1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn who_falls_behind_is_told_to_read_everything() {
    let api = Api::bare(Access::Operator);
    let addr = serve(&api).await;
    let mut page = open(addr, &api.token(Role::Operator, None)).await.unwrap();
    greeted(&mut page).await;
    // In one go, so that no socket can be quick enough.
    for seq in 1..=5_000 {
        api.changes.tell(change(&[("blr", seq, 0..1)]));
    }
    let told = next(&mut page).await.unwrap();
    assert_eq!(told["resync"], true);
    let mut applied_seq = told["regions"]["blr"]["applied_seq"].clone();
    while applied_seq != 5_000 {
        applied_seq = next(&mut page).await.unwrap()["regions"]["blr"]["applied_seq"].clone();
    }
}

#[tokio::test]
async fn who_does_not_read_is_let_go() {
    let api = Api::bare(Access::Operator);
    let addr = serve(&api).await;
    let bearer = [("authorization", format!("Bearer {}", api.token(Role::Operator, None)))];
    let mut page = connect(addr, &bearer, Some(4_096)).await.unwrap();
    greeted(&mut page).await;
    // More than the kernel keeps for somebody.
    let regions = (0..6_000).map(|n| {
        let moved = Moved {
            applied_seq: 1,
            orders: (0..NAMED as u64).map(order).collect(),
        };
        (format!("r{n}").parse().unwrap(), moved)
    });
    api.changes.tell(Change {
        regions: regions.collect::<BTreeMap<_, _>>(),
        alerts: false,
    });
    tokio::time::pause();
    // Less than after which one who is silent would be let go.
    let (mut passed, step) = (Duration::ZERO, GATHER);
    while passed < SEND_WITHIN * 3 {
        tokio::time::advance(step).await;
        passed += step;
    }
    assert!(passed < BEAT * SILENT_BEATS);
    tokio::time::resume();
    assert_eq!(
        next(&mut page).await,
        Err("gone".into()),
        "in the middle of the message"
    );
}

#[tokio::test]
async fn who_is_silent_is_let_go_and_who_answers_stays() {
    let api = Api::bare(Access::Operator);
    let addr = serve(&api).await;
    let mut page = open(addr, &api.token_for(3_600, Role::Operator, None)).await.unwrap();
    greeted(&mut page).await;
    for round in 0..2 * SILENT_BEATS {
        tokio::time::pause();
        tokio::time::advance(BEAT).await;
        tokio::time::resume();
        let frame = tokio::time::timeout(PATIENCE, page.next()).await.unwrap();
        assert!(matches!(frame, Some(Ok(Message::Ping(_)))), "{round}: {frame:?}");
        // The answer, which the library has ready, goes; by the second message it has been seen for sure.
        page.flush().await.unwrap();
        for seq in [2 * round, 2 * round + 1] {
            api.changes.tell(change(&[("blr", u64::from(seq), 0..1)]));
            assert_eq!(next(&mut page).await.unwrap()["regions"]["blr"]["applied_seq"], seq);
        }
    }
    tokio::time::pause();
    tokio::time::advance(BEAT * (SILENT_BEATS + 1)).await;
    tokio::time::resume();
    assert_eq!(next(&mut page).await, Err("1001 silent".into()));
}

#[tokio::test]
async fn a_socket_ends_with_its_token_and_with_the_hub() {
    let mut api = Api::bare(Access::Operator);
    let addr = serve(&api).await;
    let mut short = open(addr, &api.token_for(30, Role::Operator, None)).await.unwrap();
    let mut long = open(addr, &api.token_for(3_600, Role::Operator, None)).await.unwrap();
    for page in [&mut short, &mut long] {
        greeted(page).await;
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    assert_eq!(next(&mut short).await, Err("1008 token_expired".into()));
    let supervisor = std::mem::take(&mut api.supervisor);
    supervisor.run(std::future::ready("test"), Duration::from_secs(1)).await;
    assert_eq!(next(&mut long).await, Err("1001 stopping".into()));
}

#[tokio::test]
async fn a_page_has_little_to_say() {
    let api = Api::bare(Access::Operator);
    let addr = serve(&api).await;
    let mut page = open(addr, &api.token(Role::Operator, None)).await.unwrap();
    greeted(&mut page).await;
    page.send(Message::text("{\"resync\": true}")).await.unwrap();
    api.changes.tell(change(&[("blr", 1, 0..1)]));
    assert_eq!(next(&mut page).await.unwrap()["resync"], false, "it means nothing");
    page.send(Message::text("x".repeat(2_000))).await.ok();
    next(&mut page).await.unwrap_err();
}
