//! What goes on, for people who watch: one screen that is drawn anew in a terminal, a line now and then elsewhere.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use tomato_tests::city::tracker::Tracker;
use tomato_tests::hub_view::HubRegion;
use tomato_tests::stack::{Stack, TestNode};
use tomato_tests::view::Overview;

/// Between two screens.
const REDRAW: Duration = Duration::from_secs(1);
/// Between two lines where there is no screen.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Where the status goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paper {
    Screen,
    Lines,
}

impl Paper {
    /// A screen if standard output is a terminal.
    pub(crate) fn at_hand() -> Self {
        if std::io::stdout().is_terminal() {
            Self::Screen
        } else {
            Self::Lines
        }
    }

    /// Between two looks.
    pub(crate) fn every(self) -> Duration {
        match self {
            Self::Screen => REDRAW,
            Self::Lines => LINE_EVERY,
        }
    }
}

/// Shows where things stand. `head`: what stays above it on a screen.
pub(crate) async fn show(paper: Paper, stack: &Stack, tracker: &Tracker, head: &str) {
    match paper {
        Paper::Screen => {
            let text = screen(stack, tracker).await;
            // Home, the text with the rest of each old line wiped, then everything below wiped.
            let text = format!("{head}\n{text}").replace('\n', "\x1b[K\n");
            say(&format!("\x1b[H{text}\x1b[J"));
        }
        Paper::Lines => say(&format!("{}\n", one_line(stack, tracker).await)),
    }
}

/// Empties the screen, if there is one, before the first status.
pub(crate) fn clear(paper: Paper) {
    if paper == Paper::Screen {
        say("\x1b[2J\x1b[H");
    }
}

/// Prints; a closed standard output is no reason to stop.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}

async fn look(node: &TestNode) -> Option<Overview> {
    // A node that is down shows as such; waiting for it would stop the picture.
    node.api.with_patience(Duration::ZERO).overview().await.ok()
}

async fn screen(stack: &Stack, tracker: &Tracker) -> String {
    let hub = match &stack.hub {
        Some(hub) => hub.api.with_patience(Duration::ZERO).hub_regions().await.ok(),
        None => None,
    };
    let mut text = row([
        "region",
        "clock",
        "placed",
        "active",
        "delivered",
        "cancelled",
        "pay failed",
        "drivers",
        "waiting",
        "events",
        "behind",
    ]);
    for node in &stack.nodes {
        let known = hub
            .as_ref()
            .and_then(|rows| rows.iter().find(|row| row.region == node.region));
        text += &match look(node).await {
            None => format!("{:<8}{:>11}\n", node.region, "down"),
            Some(seen) => region_row(&seen, known),
        };
    }
    let hub = match (&stack.hub, hub) {
        (None, _) => "not started",
        (Some(_), Some(_)) => "up",
        (Some(_), None) => "down",
    };
    writeln!(text, "hub: {hub}\n").ok();
    let refused = tracker
        .refusals()
        .into_iter()
        .map(|(code, count)| format!("{count} {code}"))
        .collect::<Vec<_>>();
    writeln!(
        text,
        "wishes refused: {}",
        if refused.is_empty() {
            "none".into()
        } else {
            refused.join(", ")
        }
    )
    .ok();
    let complaints = tracker.complaints();
    writeln!(text, "unexpected answers: {}", complaints.len()).ok();
    complaints.iter().rev().take(5).for_each(|complaint| {
        writeln!(text, "  {complaint:.160}").ok();
    });
    text
}

fn region_row(seen: &Overview, known: Option<&HubRegion>) -> String {
    let behind = known.map(|row| seen.outbox.head_seq.saturating_sub(row.applied_seq).to_string());
    let now = seen.now.to_string();
    let counts = [
        seen.placed,
        seen.active,
        seen.delivered,
        seen.cancelled,
        seen.payment_failed,
        seen.drivers_online,
        seen.waiting_for_driver,
        seen.outbox.head_seq,
    ];
    let [placed, active, delivered, cancelled, failed, drivers, waiting, events] =
        counts.map(|count| count.to_string());
    row([
        &seen.region,
        time_of_day(&now),
        &placed,
        &active,
        &delivered,
        &cancelled,
        &failed,
        &drivers,
        &waiting,
        &events,
        behind.as_deref().unwrap_or("?"),
    ])
}

fn row([first, rest @ ..]: [&str; 11]) -> String {
    let rest: String = rest.iter().map(|cell| format!("{cell:>11}")).collect();
    format!("{first:<8}{rest}\n")
}

async fn one_line(stack: &Stack, tracker: &Tracker) -> String {
    let mut parts = Vec::new();
    for node in &stack.nodes {
        let counts = tracker.counts(&node.region);
        let clock = stack.clock.now().to_string();
        let ended = counts.ended();
        parts.push(format!(
            "{} {} {ended} of {} orders final",
            node.region,
            time_of_day(&clock),
            counts.placed
        ));
    }
    let complaints = tracker.complaints().len();
    let complaints = if complaints == 0 {
        String::new()
    } else {
        format!("; {complaints} unexpected answers")
    };
    format!("{}{complaints}", parts.join("; "))
}

/// `2026-11-23T08:30:00.000Z` is `08:30:00`.
fn time_of_day(rfc_3339: &str) -> &str {
    rfc_3339.get(11..19).unwrap_or(rfc_3339)
}
