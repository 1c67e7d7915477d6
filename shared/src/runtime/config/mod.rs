//! One loader for the configuration of node and hub: TOML file, overridden by environment variables.
//!
//! `TOMATO__HTTP__PORT=8080` sets `port` in `[http]`: double underscores separate levels, names are lowered, and the
//! value is read as TOML (`true`, `5`, `["a", "b"]`) when it is TOML, else as a string. Every fault is reported at
//! once, each with its dotted path, where the value came from and what to do, so that an operator repairs a file in
//! one round.

mod fault;
mod source;

pub use fault::{ConfigFault, ConfigFaults, Faults, Origin};

use std::path::Path;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use source::Sources;

/// Checks that types cannot express, such as bounds and fields that only make sense together.
pub trait Validate {
    /// Adds every fault of `self` to `faults`; a valid value adds none.
    fn validate(&self, faults: &mut Faults);
}

/// Reads the configuration.
///
/// `file`: TOML; `None` leaves the defaults and the environment. `env`: all variables, usually `std::env::vars()`;
/// only names that start with `prefix` and two underscores are read. `prefix`: such as `TOMATO`.
///
/// # Errors
/// All faults of file, environment, types and [`Validate`] together. Only an unreadable file or broken TOML syntax
/// hides later faults.
pub fn load<T: DeserializeOwned + Validate>(
    file: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
    prefix: &str,
) -> Result<T, ConfigFaults> {
    let mut found = Vec::new();
    let mut sources = Sources::new(prefix);
    if let Some(path) = file {
        sources.read_file(path, &mut found);
    }
    if !found.is_empty() {
        return Err(ConfigFaults::new(found));
    }
    sources.read_env(env, &mut found);

    let value: Option<T> = heal(&mut sources, &mut found);
    if let Some(value) = &value {
        let mut faults = Faults::default();
        value.validate(&mut faults);
        for (path, problem, remedy) in faults.into_list() {
            // A value that was already reported was replaced by its default: judging that would mislead.
            if !found.iter().any(|known| touches(&known.path, &path)) {
                found.push(sources.fault(&path, problem, remedy));
            }
        }
    }
    match value {
        Some(value) if found.is_empty() => Ok(value),
        Some(_) | None => Err(ConfigFaults::new(found)),
    }
}

/// The most faults one run names. A file with more is the wrong file.
const MAX_FAULTS: usize = 100;

/// Deserialises, and after each error records it, takes the offending key out (or fills it, when it is required) and
/// tries again. `None` when not even that leads to a value.
fn heal<T: DeserializeOwned>(sources: &mut Sources, found: &mut Vec<ConfigFault>) -> Option<T> {
    let mut filled: Vec<(String, usize)> = Vec::new();
    let mut as_typed = (String::new(), String::new());
    for _ in 0..MAX_FAULTS * 8 {
        let error = match serde_path_to_error::deserialize(Value::Table(sources.tree.clone())) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let message = error.inner().message().trim_end().to_owned();
        let at = dotted(error.path());
        if let Some(key) = quoted(&message, "missing field `") {
            let path = join(&at, key);
            if !found.iter().any(|known| known.path == path) {
                found.push(sources.fault(&path, "is required but not set".into(), sources.how_to_set(&path)));
            }
            filled.push((path.clone(), 0));
            put(&mut sources.tree, &path, placeholder(0)?);
        } else if let Some((path, attempt)) = filled.iter_mut().rev().find(|(path, _)| touches(path, &at)) {
            // The stand-in of a required key has the wrong type: try the next, nothing new to report.
            *attempt += 1;
            put(&mut sources.tree, path, placeholder(*attempt)?);
        } else if sources.env_as_text(&at) {
            // `TOMATO__NAME=42` for a string: what parsed as a number was meant as text. If it was not, the first
            // message is the one that helps.
            as_typed = (at, message);
        } else {
            let message = if as_typed.0 == at {
                std::mem::take(&mut as_typed.1)
            } else {
                message
            };
            let (path, problem, remedy) = explain(&at, &message);
            if found.len() >= MAX_FAULTS || !take(&mut sources.tree, &path) {
                found.push(sources.fault(&path, problem, remedy));
                return None;
            }
            found.push(sources.fault(&path, problem, remedy));
        }
    }
    None
}

/// What to say about a deserialisation error at `at`.
fn explain(at: &str, message: &str) -> (String, String, String) {
    if let Some(key) = quoted(message, "unknown field `") {
        // The tracked path already ends with the unknown key itself.
        let path = if at == key || at.ends_with(&format!(".{key}")) {
            at.to_owned()
        } else {
            join(at, key)
        };
        let expected: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
        let remedy = match nearest(key, &expected) {
            Some(near) => format!("did you mean `{near}`? else remove it"),
            None if expected.is_empty() => "remove it".to_owned(),
            None => format!("remove it; known here: {}", expected.join(", ")),
        };
        return (path, "is not a known setting".to_owned(), remedy);
    }
    let remedy = match message.rsplit_once("expected ") {
        Some((_, expected)) => format!("give {expected}"),
        None => "correct the value".to_owned(),
    };
    (at.to_owned(), message.to_owned(), remedy)
}

/// The text between `start` and the next backtick.
fn quoted<'m>(message: &'m str, start: &str) -> Option<&'m str> {
    message.split_once(start)?.1.split('`').next()
}

/// The known name that `key` is most likely a slip of: at most two edits away.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|name| (edits(key, name), *name))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein distance.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = i;
        let mut previous = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(&right) {
            let value = (diagonal + usize::from(a != *b)).min(*cell + 1).min(previous + 1);
            diagonal = *cell;
            *cell = value;
            previous = value;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Stand-ins for a required key that is missing, so that the search for further faults can go on.
fn placeholder(attempt: usize) -> Option<Value> {
    [
        Value::Table(Table::new()),
        Value::String(String::new()),
        Value::Integer(1),
        Value::Boolean(false),
        Value::Array(Vec::new()),
        Value::String("127.0.0.1:1".into()),
        Value::Float(1.0),
    ]
    .into_iter()
    .nth(attempt)
}

/// `a.b[2].c` as `a.b.2.c`; empty for the root.
fn dotted(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let parts: Vec<String> = path
        .iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { variant } => Some(variant.clone()),
            Segment::Unknown => None,
        })
        .collect();
    parts.join(".")
}

fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() {
        key.to_owned()
    } else {
        format!("{parent}.{key}")
    }
}

/// Whether one path is the other or lies below it.
fn touches(left: &str, right: &str) -> bool {
    let below = |outer: &str, inner: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    below(left, right) || below(right, left)
}

/// The child `key` of a table or list; `None` for anything else, or when the list is shorter.
fn child<'v>(value: &'v mut Value, key: &str) -> Option<&'v mut Value> {
    if let Value::Array(items) = value {
        return key.parse::<usize>().ok().and_then(|index| items.get_mut(index));
    }
    value.as_table_mut()?.get_mut(key)
}

/// Sets `path`, making tables on the way. Does nothing when a part of the way is neither table nor list element.
fn put(tree: &mut Table, path: &str, value: Value) {
    let Some((first, rest)) = path.split_once('.') else {
        tree.insert(path.to_owned(), value);
        return;
    };
    let mut here = tree.entry(first).or_insert_with(|| Value::Table(Table::new()));
    let mut parts = rest.split('.').peekable();
    while let Some(part) = parts.next() {
        if let (Value::Table(table), None) = (&mut *here, parts.peek()) {
            table.insert(part.to_owned(), value);
            return;
        }
        if let Value::Table(table) = here {
            here = table.entry(part).or_insert_with(|| Value::Table(Table::new()));
        } else if let Some(next) = child(here, part) {
            here = next;
        } else {
            return;
        }
    }
    *here = value;
}

/// Removes `path`, or the nearest thing around it that can go; false when there is nothing to remove. An element of a
/// list cannot go without renaming its neighbours: the list goes as a whole.
fn take(tree: &mut Table, path: &str) -> bool {
    let Some((first, rest)) = path.split_once('.') else {
        return tree.remove(path).is_some();
    };
    tree.get_mut(first).is_some_and(|value| take_below(value, rest)) || tree.remove(first).is_some()
}

fn take_below(value: &mut Value, path: &str) -> bool {
    let Some((first, rest)) = path.split_once('.') else {
        return value.as_table_mut().is_some_and(|table| table.remove(path).is_some());
    };
    if child(value, first).is_some_and(|inner| take_below(inner, rest)) {
        return true;
    }
    value.as_table_mut().is_some_and(|table| table.remove(first).is_some())
}

#[cfg(test)]
mod tests;
