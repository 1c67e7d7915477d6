//! Reading bodies, strictly, with every fault named by its place.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};
use tomato_shared::cell::LatLng;
use tomato_shared::runtime::problem::Problem;

use super::call::Call;
use super::error;
use crate::engine::model::Address;

/// Faults told at once; a body can hold more, but nobody reads them.
const FAULTS_MAX: usize = 20;
/// Longest fault text; serde quotes what it did not understand.
pub(super) const FAULT_CHARS_MAX: usize = 200;

/// Names of restaurants, items, headings and people, in characters.
pub const NAME_CHARS: RangeInclusive<usize> = 1..=200;
/// The line of an address, in characters.
pub const ADDRESS_LINE_CHARS: RangeInclusive<usize> = 1..=300;
/// A note to the driver, in characters.
pub const NOTE_CHARS: RangeInclusive<usize> = 0..=500;
/// A tip, in minor units.
pub const TIP_MINOR: RangeInclusive<i64> = 0..=10_000_000;

/// A body that says what it wants beyond its types.
pub trait Input: DeserializeOwned {
    /// Whether it is a list and not an object.
    const LIST: bool = false;

    /// Adds a fault for each part that is out of bounds.
    fn check(&self, faults: &mut Faults);
}

/// What is wrong with a body.
#[derive(Debug, Default)]
pub struct Faults(Vec<(String, String)>);

impl Faults {
    /// Adds a fault. `pointer`: RFC 6901, `/items/0/quantity`.
    pub fn add(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        if self.0.len() < FAULTS_MAX {
            self.0.push((pointer.into(), message.into()));
        }
    }

    /// A number within bounds.
    pub fn range<T: PartialOrd + Display>(&mut self, pointer: impl Into<String>, value: T, bounds: RangeInclusive<T>) {
        if !bounds.contains(&value) {
            self.add(pointer, format!("must be from {} to {}", bounds.start(), bounds.end()));
        }
    }

    /// A list of a bounded length.
    pub fn count(&mut self, pointer: impl Into<String>, count: usize, bounds: RangeInclusive<usize>) {
        if !bounds.contains(&count) {
            self.add(
                pointer,
                format!("must have {} to {} entries", bounds.start(), bounds.end()),
            );
        }
    }

    /// A text of a bounded length, in characters, without control characters.
    pub fn text(&mut self, pointer: impl Into<String>, text: &str, bounds: RangeInclusive<usize>) {
        if !bounds.contains(&text.chars().count()) {
            self.add(
                pointer,
                format!("must have {} to {} characters", bounds.start(), bounds.end()),
            );
        } else if text.chars().any(|letter| letter.is_control() && letter != '\n') {
            self.add(pointer, "must not have control characters");
        }
    }

    /// Something that must not be there.
    pub fn absent<T>(&mut self, pointer: impl Into<String>, value: Option<&T>, reason: &str) {
        if value.is_some() {
            self.add(pointer, format!("must be absent {reason}"));
        }
    }

    fn into_problem(self) -> Option<Problem> {
        if self.0.is_empty() {
            return None;
        }
        let problem = error::invalid_body();
        Some(
            self.0
                .into_iter()
                .fold(problem, |problem, (pointer, message)| problem.at(pointer, message)),
        )
    }
}

impl Call {
    /// The body.
    pub fn input<T: Input>(&self) -> Result<T, Problem> {
        let input: T = read(&self.body, T::LIST)?;
        let mut faults = Faults::default();
        input.check(&mut faults);
        faults.into_problem().map_or(Ok(input), Err)
    }
}

/// A body that must be an empty object.
pub fn empty(body: &[u8]) -> Result<(), Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Empty {}
    read(body, false).map(|Empty {}| ())
}

fn read<T: DeserializeOwned>(body: &[u8], list: bool) -> Result<T, Problem> {
    // serde would take the fields of an object from a list, too, by their position.
    if !list && body.trim_ascii_start().first() == Some(&b'[') {
        return Err(error::invalid_body().at("", "want an object"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|fault| {
        let message = fault
            .inner()
            .to_string()
            .chars()
            .take(FAULT_CHARS_MAX)
            .collect::<String>();
        error::invalid_body().at(pointer(fault.path()), message)
    })?;
    json.end()
        .map_err(|fault| error::invalid_body().at("", fault.to_string()))?;
    Ok(value)
}

fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// Where an order goes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressInput {
    place: LatLng,
    line: String,
    #[serde(default)]
    note: String,
}

impl AddressInput {
    /// Adds its faults under `/deliver_to`.
    pub fn check(&self, faults: &mut Faults) {
        faults.text("/deliver_to/line", &self.line, ADDRESS_LINE_CHARS);
        faults.text("/deliver_to/note", &self.note, NOTE_CHARS);
    }
}

impl From<AddressInput> for Address {
    fn from(input: AddressInput) -> Self {
        Self {
            place: input.place,
            line: input.line,
            note: input.note,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_escaped() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Outer {
            #[expect(dead_code, reason = "only its faults are looked at")]
            list: Vec<LatLng>,
        }
        let at = |body: &str| {
            read::<Outer>(body.as_bytes(), false).unwrap_err().body().errors[0]
                .pointer
                .clone()
                .unwrap()
        };
        assert_eq!(at(r#"{"list":[{"lat":1,"lng":2},{"lat":1,"lng":"x"}]}"#), "/list/1/lng");
        assert_eq!(at(r#"{"list":[],"a/b~":1}"#), "/a~1b~0");
        assert_eq!(at(r#"{"list":[]} x"#), "");
        assert_eq!(at(""), "");
    }
}
