//! The table at the end: what each region says, what the hub says, and the difference.

use tomato_shared::money::Money;
use tomato_tests::compare::{Comparison, Pair, Row};

const HEAD: [&str; 8] = [
    "",
    "placed",
    "delivered",
    "cancelled",
    "pay failed",
    "active",
    "revenue",
    "refunded",
];
const NAME_WIDTH: usize = 16;
const WIDTH: usize = 12;
const MONEY_WIDTH: usize = 16;

/// Three lines per region, three for the sum.
pub(crate) fn table(found: &Comparison) -> String {
    let mut lines = vec![line(HEAD.map(str::to_owned))];
    for pair in &found.pairs {
        lines.extend(group(pair));
    }
    if found.pairs.len() > 1 {
        let region = found
            .pairs
            .iter()
            .fold(Row::default(), |sum, pair| add(sum, pair.region));
        let hub = found.pairs.iter().fold(Row::default(), |sum, pair| add(sum, pair.hub));
        lines.extend(group(&Pair {
            name: "all regions".to_owned(),
            region,
            hub,
        }));
    }
    lines.join("\n")
}

fn group(pair: &Pair) -> [String; 3] {
    [
        row(&pair.name, Signed::from(pair.region)),
        row("  hub", Signed::from(pair.hub)),
        row("  difference", Signed::from(pair.hub).minus(Signed::from(pair.region))),
    ]
}

fn add(a: Row, b: Row) -> Row {
    Row {
        placed: a.placed + b.placed,
        delivered: a.delivered + b.delivered,
        cancelled: a.cancelled + b.cancelled,
        payment_failed: a.payment_failed + b.payment_failed,
        active: a.active + b.active,
        revenue_minor: a.revenue_minor + b.revenue_minor,
        refunded_minor: a.refunded_minor + b.refunded_minor,
    }
}

/// Columns as numbers that can be subtracted.
#[derive(Clone, Copy)]
struct Signed([i64; 7]);

impl From<Row> for Signed {
    fn from(row: Row) -> Self {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Self([
            count(row.placed),
            count(row.delivered),
            count(row.cancelled),
            count(row.payment_failed),
            count(row.active),
            row.revenue_minor,
            row.refunded_minor,
        ])
    }
}

impl Signed {
    fn minus(self, other: Self) -> Self {
        Self(std::array::from_fn(|column| self.0[column] - other.0[column]))
    }
}

fn row(name: &str, Signed(numbers): Signed) -> String {
    let mut cells = [const { String::new() }; 8];
    name.clone_into(&mut cells[0]);
    for (column, number) in numbers.into_iter().enumerate() {
        cells[column + 1] = if column < 5 { number.to_string() } else { rupees(number) };
    }
    line(cells)
}

fn line([name, cells @ ..]: [String; 8]) -> String {
    let width = |column: usize| if column < 5 { WIDTH } else { MONEY_WIDTH };
    let cells = cells
        .iter()
        .enumerate()
        .map(|(column, cell)| format!("{cell:>0$}", width(column)));
    format!("{name:<NAME_WIDTH$}{}", cells.collect::<String>())
}

/// The regions that come with the project all sell in rupees.
pub(crate) fn rupees(minor: i64) -> String {
    match "INR".parse() {
        Ok(currency) => Money { minor, currency }.to_string(),
        Err(_) => minor.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, delivered: u64, at_hub: u64) -> Pair {
        let row = |delivered| Row {
            placed: 10,
            delivered,
            revenue_minor: 100_050,
            ..Row::default()
        };
        Pair {
            name: name.to_owned(),
            region: row(delivered),
            hub: row(at_hub),
        }
    }

    #[test]
    fn regions_hub_and_difference_stand_in_columns() {
        let found = Comparison {
            pairs: vec![pair("blr", 9, 9), pair("hyd", 8, 7)],
            differences: vec![],
        };
        let text = table(&found);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 3 * 3);
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{text}");
        let numbers = |line: &str| {
            line.split_whitespace()
                .filter_map(|word| word.parse::<f64>().ok())
                .collect::<Vec<_>>()
        };
        assert_eq!(numbers(lines[1]), [10.0, 9.0, 0.0, 0.0, 0.0, 1_000.50, 0.0]);
        assert_eq!(numbers(lines[6])[1], -1.0);
        assert_eq!(numbers(lines[7])[..2], [20.0, 17.0]);
        assert!(lines[9].trim_start().starts_with("difference"));
    }
}
