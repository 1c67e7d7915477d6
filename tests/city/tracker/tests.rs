use serde_json::json;

use super::*;

fn order(version: u32, state: &str) -> Order {
    let (order, user, restaurant) = (
        "01jd2qk3hze5g8v9x6y7z0abcd",
        "usr_01jd2qk3hze5g8v9x6y7z0abcd",
        "rst_01jd2qk3hze5g8v9x6y7z0abcd",
    );
    let ended = ["DELIVERED", "CANCELLED"]
        .contains(&state)
        .then_some("2026-11-23T09:00:00.000Z");
    serde_json::from_value(json!({
        "id": format!("ord_{order}"), "state": state, "version": version, "customer_id": user,
        "restaurant": { "id": restaurant, "name": "Udupi Garden", "place": { "lat": 12.97, "lng": 77.59 } },
        "lines": [],
        "price": { "items_minor": 9500, "delivery_fee_minor": 0, "service_fee_minor": 0, "tax_minor": 0,
                   "total_minor": 9500, "currency": "INR" },
        "payment": { "method": "cash", "state": "CASH_DUE" },
        "delivery": { "id": format!("del_{order}"), "state": "SEARCHING" },
        "placed_at": "2026-11-23T08:30:00.000Z", "estimated_delivery_at": "2026-11-23T09:05:00.000Z",
        "ended_at": ended,
    }))
    .unwrap()
}

#[test]
fn an_order_is_followed_to_its_end() {
    let (tracker, blr) = (Tracker::default(), "blr".parse().unwrap());
    tracker.asks(&blr, 0);
    tracker.asks(&blr, 1);
    assert_eq!(tracker.counts(&blr).asking, 2);
    tracker.refused(&blr, 1, "sold_out");
    let first = order(2, "CONFIRMED");
    tracker.placed(&blr, 0, &first);
    assert_eq!(tracker.counts(&blr).active(), 1);
    tracker.saw(&order(9, "DELIVERED"));
    // Told late: changes nothing.
    tracker.saw(&order(5, "READY_FOR_PICKUP"));
    let counts = tracker.counts(&blr);
    assert_eq!(
        (
            counts.placed,
            counts.delivered,
            counts.ended(),
            counts.refused,
            counts.asking
        ),
        (1, 1, 1, 1, 0)
    );
    assert_eq!(
        tracker.record(first.id).unwrap().click_to_door(),
        Some(DurationMs::from_mins(30))
    );
    assert_eq!(tracker.refusals(), BTreeMap::from([("sold_out".to_owned(), 1)]));
    assert!(tracker.complaints().is_empty());
    assert_eq!(tracker.counts(&"hyd".parse().unwrap()), Counts::default());
}

#[test]
fn a_final_state_that_changes_is_complained_about() {
    let (tracker, blr) = (Tracker::default(), "blr".parse().unwrap());
    tracker.placed(&blr, 0, &order(3, "DELIVERED"));
    tracker.saw(&order(4, "DELIVERED"));
    assert!(tracker.complaints().is_empty());
    tracker.saw(&order(5, "CANCELLED"));
    assert!(tracker.complaints()[0].contains("from DELIVERED to CANCELLED"));
}
