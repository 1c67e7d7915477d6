//! What a run found: a small table, and everything that should not have been.

use std::fmt;

use crate::city::tracker::Counts;
use crate::stack::Stack;
use crate::town::Town;

/// The outcome of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    name: String,
    rows: Vec<(String, String)>,
    faults: Vec<String>,
}

impl Report {
    /// What a run tells. One that cannot go on has a fault more, which says why.
    pub async fn of(name: &str, run: impl AsyncFnOnce(&mut Self) -> Result<(), String>) -> Self {
        let mut report = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        if let Err(problem) = run(&mut report).await {
            report.fault(problem);
        }
        report
    }

    /// A line of the table.
    pub fn row(&mut self, what: &str, value: impl fmt::Display) {
        self.rows.push((what.to_owned(), value.to_string()));
    }

    /// Something that should not have been.
    pub fn fault(&mut self, text: impl Into<String>) {
        self.faults.push(text.into());
    }

    /// [`Report::fault`] unless the condition holds.
    pub fn expect(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.fault(text());
        }
    }

    /// A count that has to be 0.
    pub fn none(&mut self, what: &str, count: u64) {
        self.row(what, count);
        self.expect(count == 0, || format!("{what}: {count}"));
    }

    /// Closes a town: every order is final, its people were told nothing strange, and hub and region agree. `of`: the town's
    /// name in the rows, where there are several.
    pub async fn close(&mut self, town: Town, stack: &Stack, of: &str) -> Counts {
        let complaints = town.tracker.complaints();
        let (counts, differences) = town.differences(stack).await;
        self.row(&format!("{of}orders acknowledged"), counts.placed);
        self.none(&format!("{of}not final"), counts.active());
        self.none(&format!("{of}unexpected answers"), complaints.len() as u64);
        let found = complaints.into_iter().chain(differences);
        found.for_each(|text| self.fault(text));
        counts
    }

    /// Everything that should not have been; empty when the run passed.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// For tests: panics with the whole report when something should not have been.
    pub fn assert_fine(&self) {
        assert!(self.faults.is_empty(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        let width = self.rows.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
        for (what, value) in &self.rows {
            writeln!(f, "  {what:<width$}  {value}")?;
        }
        for fault in &self.faults {
            writeln!(f, "  WRONG: {fault}")?;
        }
        writeln!(f, "  {}", if self.faults.is_empty() { "passed" } else { "FAILED" })
    }
}
