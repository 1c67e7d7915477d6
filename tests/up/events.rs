//! What happened to the orders, from their own histories: that every part of the platform was at work.

use std::collections::BTreeMap;

use tomato_tests::client::ApiError;
use tomato_tests::stack::Stack;

/// Histories that are read; a longer run is told by its first orders.
const ORDERS_MAX: usize = 1_000;

/// What is told, and the events that show it.
const TOLD: [(&str, &str); 16] = [
    ("scheduled for later", "order.scheduled"),
    ("kitchens said no or stayed silent", "restaurant.declined"),
    ("called again or late", "order.overdue"),
    ("delayed", "order.delayed"),
    ("swaps proposed", "order.change.proposed"),
    ("swaps agreed", "order.changed"),
    ("offers made", "driver.offered"),
    ("offers declined or expired", "driver.offer.ended"),
    ("deliveries given back", "driver.cancelled"),
    ("nobody at the door", "delivery.failed"),
    ("brought back to the kitchen", "delivery.returned"),
    ("cards declined", "payment.failed"),
    ("orders given up", "order.cancelled"),
    ("refunds", "payment.refund.requested"),
    ("ratings", "order.rated"),
    ("tips afterwards", "order.tipped"),
];

/// One line per kind of event that happened, and what was ordered with options.
pub(crate) async fn told(stack: &Stack) -> Result<String, ApiError> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let (mut chosen, mut promoted, mut taken_over) = (0u64, 0u64, 0u64);
    for node in &stack.nodes {
        let orders = node.api.all_orders().await?;
        for order in orders.iter().take(ORDERS_MAX) {
            chosen += u64::from(order.lines.iter().any(|line| !line.choices.is_empty()));
            promoted += u64::from(order.price.discount_minor > 0);
            let mut asked = 0u64;
            for entry in node.api.history(order.id, 0).await?.data {
                asked += u64::from(entry.kind == "restaurant.assigned");
                *counts.entry(entry.kind).or_default() += 1;
            }
            taken_over += asked.saturating_sub(1);
        }
    }
    let ours = [
        ("with variants or options", chosen),
        ("with a promotion", promoted),
        ("taken over by the next kitchen", taken_over),
    ];
    let of_events = TOLD.map(|(phrase, kind)| (phrase, counts.get(kind).copied().unwrap_or(0)));
    let all = ours.into_iter().chain(of_events).filter(|(_, count)| *count > 0);
    let parts: Vec<String> = all.map(|(phrase, count)| format!("{count} {phrase}")).collect();
    Ok(format!("what happened: {}\n", parts.join(", ")))
}
