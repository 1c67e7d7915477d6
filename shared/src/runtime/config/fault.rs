//! What is wrong with a configuration, and where it came from.

use std::fmt;
use std::path::PathBuf;

/// Where a value was set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// In the file; `line` counts from 1.
    File {
        /// The file as it was named on the command line.
        path: PathBuf,
        /// Line of the key.
        line: usize,
    },
    /// In this environment variable.
    Env(String),
    /// Nowhere: it is missing, or a default.
    Unset,
}

/// One fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigFault {
    /// Dotted path such as `http.port`; list elements by index (`leaf.hub_urls.0`); empty for the whole file.
    pub path: String,
    /// Where the value was set.
    pub origin: Origin,
    /// What is wrong, to be read after the path.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// Every fault of a configuration; never empty. Displays as a numbered list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigFaults(Vec<ConfigFault>);

impl ConfigFaults {
    pub(super) fn new(mut faults: Vec<ConfigFault>) -> Self {
        faults.sort_by(|a, b| a.path.cmp(&b.path));
        Self(faults)
    }

    /// The faults, ordered by path.
    pub fn faults(&self) -> &[ConfigFault] {
        &self.0
    }
}

impl std::error::Error for ConfigFaults {}

impl fmt::Display for ConfigFaults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(
            out,
            "the configuration has {count} {}:",
            if count == 1 { "fault" } else { "faults" }
        )?;
        for (number, fault) in self.0.iter().enumerate() {
            write!(out, "\n{:3}. ", number + 1)?;
            match &fault.origin {
                Origin::File { path, line } => write!(out, "{}:{line}: ", path.display())?,
                Origin::Env(name) => write!(out, "{name}: ")?,
                Origin::Unset => {}
            }
            if !fault.path.is_empty() {
                write!(out, "{}: ", fault.path)?;
            }
            write!(out, "{}\n     -> {}", fault.problem, fault.remedy)?;
        }
        Ok(())
    }
}

/// Collects what [`super::Validate`] finds. Paths are relative to the section that [`Faults::within`] entered.
#[derive(Debug, Default)]
pub struct Faults {
    section: Vec<String>,
    list: Vec<(String, String, String)>,
}

impl Faults {
    /// Adds a fault of `key` in the present section; an empty key means the section itself.
    pub fn add(&mut self, key: &str, problem: impl fmt::Display, remedy: impl fmt::Display) {
        let path: Vec<&str> = self
            .section
            .iter()
            .map(String::as_str)
            .chain([key])
            .filter(|part| !part.is_empty())
            .collect();
        self.list
            .push((path.join("."), problem.to_string(), remedy.to_string()));
    }

    /// Adds a fault of `key` unless `ok`.
    pub fn require(&mut self, ok: bool, key: &str, problem: impl fmt::Display, remedy: impl fmt::Display) {
        if !ok {
            self.add(key, problem, remedy);
        }
    }

    /// Adds a fault of `key` when `value` lies outside `bounds` (both inclusive).
    pub fn range<N: PartialOrd + fmt::Display>(&mut self, key: &str, value: N, bounds: std::ops::RangeInclusive<N>) {
        if !bounds.contains(&value) {
            let (low, high) = bounds.into_inner();
            self.add(
                key,
                format_args!("{value} is out of range"),
                format_args!("give {low} to {high}"),
            );
        }
    }

    /// Runs `check` with all its paths below `section`; dots enter several levels.
    pub fn within(&mut self, section: &str, check: impl FnOnce(&mut Self)) {
        self.section.push(section.to_owned());
        check(self);
        self.section.pop();
    }

    /// Whether nothing was found yet.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Paths with a fault, in the order found; for tests of a [`super::Validate`].
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|(path, ..)| path.as_str())
    }

    pub(super) fn into_list(self) -> Vec<(String, String, String)> {
        self.list
    }
}
