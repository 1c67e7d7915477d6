//! The merged tree of file and environment, and where each value in it came from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::fault::{ConfigFault, Origin};
use super::put;

/// A configuration file is a few kilobytes; more is the wrong file.
const MAX_FILE_BYTES: u64 = 4 << 20;

pub(super) struct Sources {
    pub(super) tree: Table,
    prefix: String,
    file: PathBuf,
    /// Dotted path to line in the file.
    lines: BTreeMap<String, usize>,
    /// Dotted path to variable name and raw text.
    env: BTreeMap<String, (String, String)>,
}

impl Sources {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            tree: Table::new(),
            prefix: format!("{prefix}__"),
            file: PathBuf::new(),
            lines: BTreeMap::new(),
            env: BTreeMap::new(),
        }
    }

    pub(super) fn read_file(&mut self, path: &Path, found: &mut Vec<ConfigFault>) {
        self.file = path.to_owned();
        let read = std::fs::metadata(path).and_then(|meta| {
            if meta.len() > MAX_FILE_BYTES {
                return Err(std::io::Error::other("is larger than 4 MiB"));
            }
            std::fs::read_to_string(path)
        });
        let text = match read {
            Ok(text) => text,
            Err(error) => {
                found.push(ConfigFault {
                    path: String::new(),
                    origin: Origin::Unset,
                    problem: format!("cannot read {}: {error}", path.display()),
                    remedy: "check the path and its permissions".into(),
                });
                return;
            }
        };
        let (parsed, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            let start = error.span().map_or(0, |span| span.start);
            let (line, column) = position(&text, start);
            found.push(ConfigFault {
                path: String::new(),
                origin: Origin::File {
                    path: path.to_owned(),
                    line,
                },
                problem: format!("TOML syntax, line {line} column {column}: {}", error.message()),
                remedy: "correct the syntax; see https://toml.io".into(),
            });
        }
        if found.is_empty() {
            note_lines(&text, parsed.get_ref(), "", &mut self.lines);
            match toml::from_str(&text) {
                Ok(tree) => self.tree = tree,
                Err(error) => found.push(self.fault("", error.to_string(), "correct the file".into())),
            }
        }
    }

    pub(super) fn read_env(&mut self, env: impl Iterator<Item = (String, String)>, found: &mut Vec<ConfigFault>) {
        // Sorted, so that the same environment always gives the same tree.
        let mine: BTreeMap<String, String> = env.filter(|(name, _)| name.starts_with(&self.prefix)).collect();
        for (name, text) in mine {
            let path = name
                .strip_prefix(&self.prefix)
                .unwrap_or_default()
                .to_lowercase()
                .replace("__", ".");
            if path.split('.').any(str::is_empty) {
                found.push(ConfigFault {
                    path: String::new(),
                    origin: Origin::Env(name),
                    problem: "is not a setting's name".into(),
                    remedy: format!("write {}SECTION__KEY, two underscores between levels", self.prefix),
                });
                continue;
            }
            put(&mut self.tree, &path, parse_value(&text));
            self.env.insert(path, (name, text));
        }
    }

    /// Replaces a value from the environment by its plain text, once. False when there is nothing to replace.
    pub(super) fn env_as_text(&mut self, path: &str) -> bool {
        let Some((_, text)) = self.env.get(path) else {
            return false;
        };
        if matches!(parse_value(text), Value::String(_)) || lookup(&self.tree, path).is_some_and(Value::is_str) {
            return false;
        }
        put(&mut self.tree, path, Value::String(text.clone()));
        true
    }

    pub(super) fn fault(&self, path: &str, problem: String, remedy: String) -> ConfigFault {
        ConfigFault {
            path: path.to_owned(),
            origin: self.origin(path),
            problem,
            remedy,
        }
    }

    /// How an operator can set `path`.
    pub(super) fn how_to_set(&self, path: &str) -> String {
        let variable = format!("{}{}", self.prefix, path.to_uppercase().replace('.', "__"));
        match path.rsplit_once('.') {
            Some((section, key)) => format!("set `{key}` in [{section}] of the file, or {variable}"),
            None => format!("set `{path}` at the top of the file, or {variable}"),
        }
    }

    /// Where `path`, or the nearest thing around it, was set.
    fn origin(&self, path: &str) -> Origin {
        let mut here = path;
        loop {
            if let Some((name, _)) = self.env.get(here) {
                return Origin::Env(name.clone());
            }
            if let Some(line) = self.lines.get(here) {
                return Origin::File {
                    path: self.file.clone(),
                    line: *line,
                };
            }
            match here.rsplit_once('.') {
                Some((parent, _)) => here = parent,
                None => return Origin::Unset,
            }
        }
    }
}

fn lookup<'t>(tree: &'t Table, path: &str) -> Option<&'t Value> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let value = tree.get(first)?;
    if rest.is_empty() {
        Some(value)
    } else {
        lookup(value.as_table()?, rest)
    }
}

/// A TOML value when the whole text is one, else the text.
fn parse_value(text: &str) -> Value {
    let table = format!("v = {text}")
        .parse::<Table>()
        .ok()
        .filter(|table| table.len() == 1);
    table
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Line and column of a byte offset, both from 1; the column counts characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

fn note_lines(text: &str, table: &DeTable<'_>, parent: &str, lines: &mut BTreeMap<String, usize>) {
    for (key, value) in table {
        let path = super::join(parent, key.get_ref());
        lines.insert(path.clone(), position(text, key.span().start).0);
        note_value(text, value.get_ref(), &path, lines);
    }
}

fn note_value(text: &str, value: &DeValue<'_>, path: &str, lines: &mut BTreeMap<String, usize>) {
    match value {
        DeValue::Table(inner) => note_lines(text, inner, path, lines),
        DeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let path = format!("{path}.{index}");
                lines.insert(path.clone(), position(text, item.span().start).0);
                note_value(text, item.get_ref(), &path, lines);
            }
        }
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}
