//! The declarations, and the page as promtool reads it.

use std::sync::Arc;

use super::*;

/// Metrics of a test that looks at none.
pub(crate) fn none() -> Arc<Metrics> {
    Arc::new(Metrics::new(&"blr".parse().unwrap(), "INR".parse().unwrap()))
}

#[test]
fn names_say_what_they_are() {
    let mut seen = std::collections::BTreeSet::new();
    for metric in DECLARED {
        let name = metric.name;
        assert!(seen.insert(name), "{name} is declared twice");
        assert!(name.starts_with("tomato_"), "{name}");
        assert_eq!(metric.kind == "counter", name.ends_with("_total"), "{name}");
        assert_eq!(metric.unit == "seconds", name.ends_with("_seconds"), "{name}");
        assert!(metric.help.ends_with('.') && !metric.unit.is_empty(), "{name}");
        assert!(!metric.labels.iter().any(|label| label.ends_with("id")), "{name}");
    }
}

#[test]
fn the_page_has_every_metric_and_bears_the_region() {
    let metrics = none();
    metrics.paid(TaskKind::Tip, std::time::Duration::from_millis(300));
    metrics.answered(
        Some(&ROUTES[0]),
        http::StatusCode::OK,
        std::time::Duration::from_micros(700),
    );
    metrics.answered(None, http::StatusCode::NOT_FOUND, std::time::Duration::ZERO);
    let page = metrics.page();
    for metric in DECLARED {
        assert!(
            page.contains(&format!("# TYPE {} {}\n", metric.name, metric.kind)),
            "{}",
            metric.name
        );
    }
    let lines: Vec<_> = page.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.iter().all(|line| line.contains("{region=\"blr\"")));
    for wanted in [
        "tomato_http_requests_total{region=\"blr\",method=\"GET\",route=\"/livez\",status=\"2xx\"} 1",
        "tomato_http_requests_total{region=\"blr\",method=\"\",route=\"\",status=\"4xx\"} 1",
        "tomato_http_request_duration_seconds_bucket{region=\"blr\",method=\"GET\",route=\"/livez\",le=\"0.001\"} 1",
        "tomato_payment_processing_seconds_sum{region=\"blr\",kind=\"tip\"} 0.3",
        "tomato_order_revenue_minor_total{region=\"blr\",currency=\"INR\"} 0",
    ] {
        assert!(lines.contains(&wanted), "{wanted} is missing in\n{page}");
    }
}
