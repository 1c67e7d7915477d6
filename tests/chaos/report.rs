//! What a run found: a small table, and everything that should not have been.

use std::fmt;

/// The outcome of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    name: String,
    rows: Vec<(String, String)>,
    faults: Vec<String>,
}

impl Report {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
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
