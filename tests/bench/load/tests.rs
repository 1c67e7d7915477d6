use axum::Router;
use axum::routing::post;
use tomato_shared::cell::LatLng;
use tomato_tests::city::chance;
use tomato_tests::tokens::Issuer;

use super::*;

fn plan(addr: SocketAddr, due: Vec<Duration>) -> Plan {
    Plan {
        addr,
        connections: 4,
        due,
        length: Duration::from_secs(1),
        first: 0,
    }
}

#[test]
fn arrivals_keep_the_rate_and_come_in_order() {
    let due = arrivals(&mut chance::stream(1, "arrivals", 0), 10_000.0, Duration::from_secs(2));
    assert!((19_000..21_000).contains(&due.len()), "{}", due.len());
    assert!(due.is_sorted() && due.last().unwrap() < &Duration::from_secs(2));
}

#[test]
fn what_is_never_answered_counts_with_its_age() {
    let plan = plan(
        SocketAddr::from(([127, 0, 0, 1], 1)),
        vec![Duration::ZERO, Duration::from_millis(500)],
    );
    let outcome = outcome(&plan, vec![Tally::default()]).unwrap();
    assert_eq!((outcome.due, outcome.unanswered, outcome.placed()), (2, 2, 0));
    assert!(outcome.latency_us.min() >= 749_000);
}

/// A server that stands still for 400 of 1,000 milliseconds delays 40 % of the arrivals, though only as many requests
/// as there are connections are under way meanwhile.
#[tokio::test]
async fn a_server_that_stalls_delays_all_that_arrive_meanwhile() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let stall: Arc<std::sync::OnceLock<Instant>> = Arc::default();
    let handler = move || {
        let until = *stall.get_or_init(|| Instant::now() + Duration::from_millis(400));
        async move {
            sleep_until(until).await;
            StatusCode::CREATED
        }
    };
    let router: Router = Router::new().route("/v1/orders", post(handler));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::open(folder.path()).unwrap();
    let market = Arc::new(Market::open(&issuer, LatLng::new(12.9716, 77.5946).unwrap()).unwrap());
    let due = (0..200).map(|number| Duration::from_millis(5 * number)).collect();
    let outcome = run(plan(addr, due), &market).await.unwrap();
    server.abort();
    assert_eq!(
        (outcome.placed(), outcome.unanswered),
        (200, 0),
        "{:?}",
        outcome.refusal
    );
    let at = |quantile| outcome.latency_us.value_at_quantile(quantile);
    assert!(at(0.9) >= 200_000, "p90 {} us", at(0.9));
}
