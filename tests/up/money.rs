//! The money of each region, three ways: what its provider moved, what its books say, and what its orders say.

use std::time::Duration;

use tomato_node::payments::SIMULATED_LEDGER;
use tomato_node::payments::simulated::read_ledger;
use tomato_node::reconcile::{Report, Sums, compare};
use tomato_node::store::pool::connect;
use tomato_shared::time::DurationMs;
use tomato_tests::stack::{Stack, TestNode};
use tomato_tests::wait::poll_until;

use crate::table::rupees;

/// How long the provider may take with what is open when the last order has ended: a card that is late for 20 minutes, a
/// refund that is refused and asked for again.
const ANSWERED_WITHIN: DurationMs = DurationMs::from_mins(30);
const ANSWERED_WITHIN_LEAST: Duration = Duration::from_secs(60);

/// Waits until no region has an open call to its provider; an error says how many have.
pub(crate) async fn answered(stack: &Stack) -> Result<(), String> {
    let limit = stack.clock.real(ANSWERED_WITHIN).max(ANSWERED_WITHIN_LEAST);
    for node in &stack.nodes {
        let what = format!("the provider of {} to answer every call", node.region);
        poll_until(&what, limit, async || (open_calls(node).ok()? == 0).then_some(())).await?;
    }
    Ok(())
}

fn open_calls(node: &TestNode) -> Result<i64, String> {
    let explain = |error: &dyn std::error::Error| format!("{}: {error}", node.region);
    let file = connect(&node.server.data().join("region.db")).map_err(|error| explain(&error))?;
    file.query_row("SELECT count(*) FROM tasks", [], |row| row.get(0))
        .map_err(|error| explain(&error))
}

/// One account of a region's money.
#[derive(Clone, Copy, Default)]
struct Line {
    charged: i64,
    refunded: i64,
    /// Nothing where the account knows no cash.
    cash: Option<i64>,
}

/// What was found, as a table, and whether nothing is left over.
pub(crate) fn table(stack: &Stack) -> Result<(String, bool), String> {
    let mut lines = vec![row("", ["charged", "refunded", "kept", "cash"].map(str::to_owned))];
    let (mut even, mut sums) = (true, [Line::default(); 3]);
    for node in &stack.nodes {
        let report = report(node)?;
        even &= report.is_even();
        let accounts = accounts(&report);
        for (sum, line) in sums.iter_mut().zip(accounts) {
            *sum = add(*sum, line);
        }
        lines.extend(group(node.region.as_str(), accounts));
        for wrong in &report.mismatches {
            lines.push(format!("  {}: {}", wrong.order, wrong.reason));
        }
    }
    if stack.nodes.len() > 1 {
        lines.extend(group("all regions", sums));
    }
    Ok((lines.join("\n"), even))
}

fn report(node: &TestNode) -> Result<Report, String> {
    let data = node.server.data();
    let movements = read_ledger(&data.join(SIMULATED_LEDGER)).map_err(|error| format!("{}: {error}", node.region))?;
    let explain = |error: &dyn std::error::Error| format!("{}: {error}", node.region);
    let file = connect(&data.join("region.db")).map_err(|error| explain(&error))?;
    compare(&file, &movements, tomato_shared::time::UnixMs(0)).map_err(|error| explain(&error))
}

fn accounts(report: &Report) -> [Line; 3] {
    let line = |sums: Sums, cash| Line {
        charged: sums.charged,
        refunded: sums.refunded,
        cash,
    };
    [
        line(report.provider, None),
        line(report.books, Some(report.cash.1)),
        line(report.rows, Some(report.cash.0)),
    ]
}

fn add(a: Line, b: Line) -> Line {
    Line {
        charged: a.charged + b.charged,
        refunded: a.refunded + b.refunded,
        cash: b.cash.map(|cash| a.cash.unwrap_or(0) + cash),
    }
}

/// The three accounts, and by how much they differ at most: zero where they agree.
fn group(name: &str, accounts: [Line; 3]) -> [String; 4] {
    let [provider, books, orders] = accounts;
    let apart = |of: fn(&Line) -> i64| {
        let all = [of(&provider), of(&books), of(&orders)];
        all.iter().max().unwrap_or(&0) - all.iter().min().unwrap_or(&0)
    };
    let cash_apart = (books.cash.unwrap_or(0) - orders.cash.unwrap_or(0)).abs();
    [
        of_line(&format!("{name} provider"), provider),
        of_line("  books", books),
        of_line("  orders", orders),
        row(
            "  difference",
            [
                rupees(apart(|line| line.charged)),
                rupees(apart(|line| line.refunded)),
                rupees(apart(|line| line.charged - line.refunded)),
                rupees(cash_apart),
            ],
        ),
    ]
}

fn of_line(name: &str, line: Line) -> String {
    let cash = line.cash.map_or_else(String::new, rupees);
    let kept = rupees(line.charged - line.refunded);
    row(name, [rupees(line.charged), rupees(line.refunded), kept, cash])
}

fn row(name: &str, cells: [String; 4]) -> String {
    let cells = cells.map(|cell| format!("{cell:>18}"));
    format!("{name:<22}{}", cells.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_that_differ_show_by_how_much() {
        let line = |charged, refunded, cash| Line {
            charged,
            refunded,
            cash,
        };
        let same = [
            line(5_000, 500, None),
            line(5_000, 500, Some(70)),
            line(5_000, 500, Some(70)),
        ];
        let zero = rupees(0);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let count = |text: &str| words(text).iter().filter(|word| words(&zero).contains(word)).count();
        assert_eq!(count(&group("blr", same)[3]), 4 * words(&zero).len());
        let wrong = [same[0], line(4_900, 500, Some(70)), line(5_000, 600, Some(60))];
        assert_eq!(
            words(&group("blr", wrong)[3])[1..],
            words(&[rupees(100), rupees(100), rupees(100), rupees(10)].join(" "))
        );
    }
}
