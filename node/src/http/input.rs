//! Reading bodies, strictly, with every fault named by its place.

use std::fmt::Display;
use std::sync::LazyLock;

use garde::Validate;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use serde_path_to_error::{Path, Segment};
use tomato_shared::cell::LatLng;
use tomato_shared::phone::Phone;
use tomato_shared::runtime::problem::Problem;

use super::call::Call;
use super::table::BODY_MAX;
use super::{error, openapi, shape};
use crate::engine::model::Address;

/// Faults told at once; a body can hold more, but nobody reads them.
const FAULTS_MAX: usize = 20;
/// Longest fault text; serde quotes what it did not understand.
pub(super) const FAULT_CHARS_MAX: usize = 200;

/// A name of a restaurant, an item or a person, in characters.
pub const NAME_MAX: usize = 200;
/// The largest tip, in minor units.
pub const TIP_MAX_MINOR: i64 = 10_000_000;

/// A body. Its limits are `#[garde(..)]` attributes, which the check and the schema both read.
pub trait Input: DeserializeOwned + JsonSchema + Validate<Context = ()> {
    /// Largest body.
    const BYTES_MAX: usize = BODY_MAX;

    /// Adds a fault for what no single part shows.
    fn check(&self, _faults: &mut Faults) {}
}

/// A rule for texts: its pattern as the schema has it, and the check.
#[derive(Debug)]
pub struct Rule {
    pattern: &'static str,
    holds: fn(&str) -> bool,
}

/// No control characters but line feeds.
pub static PLAIN: Rule = Rule {
    pattern: r"^[^\x00-\x09\x0B-\x1F\x7F-\x9F]*$",
    holds: |text| !text.chars().any(|letter| letter.is_control() && letter != '\n'),
};
/// A word of a program, with no room for a person's name.
pub static WORD: Rule = Rule {
    pattern: "^[a-z0-9_]*$",
    holds: |text| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        text.bytes().all(plain)
    },
};

/// A key within a menu.
pub static KEY: Rule = Rule {
    pattern: "^[a-z0-9_-]*$",
    holds: |text| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
        text.bytes().all(plain)
    },
};
/// A push service's token of an app on a device.
pub static TOKEN: Rule = Rule {
    pattern: "^[A-Za-z0-9_:.-]*$",
    holds: |text| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_:.-".contains(&byte);
        text.bytes().all(plain)
    },
};
/// A language, as in BCP 47.
pub static LOCALE: Rule = Rule {
    pattern: "^[A-Za-z0-9-]*$",
    holds: |text| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        text.bytes().all(plain)
    },
};
/// A promotion's code, as customers type it.
pub static CODE: Rule = Rule {
    pattern: "^[A-Z0-9-]*$",
    holds: |text| {
        let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
        text.bytes().all(plain)
    },
};

impl garde::rules::AsStr for Rule {
    fn as_str(&self) -> &str {
        self.pattern
    }
}

impl garde::rules::pattern::Matcher for Rule {
    fn is_match(&self, text: &str) -> bool {
        (self.holds)(text)
    }
}

impl Display for Rule {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.pattern)
    }
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

    /// Something that must not be there.
    pub fn absent<T>(&mut self, pointer: impl Into<String>, value: Option<&T>, reason: &str) {
        if value.is_some() {
            self.add(pointer, format!("must be absent {reason}"));
        }
    }

    /// Everything that is out of its limits.
    fn limits<T: Input>(&mut self, input: &T) {
        let Err(report) = input.validate() else { return };
        for (path, fault) in report.iter() {
            // Paths are field names and indices, `items[0].quantity`; no field has a dot or bracket in its name.
            let path = path.to_string().replace(['.', '['], "/").replace(']', "");
            let pointer = if path.is_empty() || path.starts_with('/') {
                path
            } else {
                format!("/{path}")
            };
            self.add(pointer, fault.message());
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
        let input: T = read(&self.body, openapi::body_of(self.route))?;
        check(&input)?;
        Ok(input)
    }
}

/// Refuses what is out of its limits.
pub fn check<T: Input>(input: &T) -> Result<(), Problem> {
    let mut faults = Faults::default();
    faults.limits(input);
    input.check(&mut faults);
    faults.into_problem().map_or(Ok(()), Err)
}

/// A body that must be an empty object.
pub fn empty(body: &[u8]) -> Result<(), Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Empty {}
    static OBJECT: LazyLock<Value> = LazyLock::new(|| json!({"type": "object"}));
    read(body, Some(&OBJECT)).map(|Empty {}| ())
}

/// `schema`: where lists may stand.
fn read<T: DeserializeOwned>(body: &[u8], schema: Option<&Value>) -> Result<T, Problem> {
    // Asked first of the whole, as the faults of an object that is read from a list help nobody.
    let list = body.trim_ascii_start().first() == Some(&b'[');
    if schema.is_some_and(|schema| list && shape::stray_list(schema, &json!([])).is_some()) {
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
    // Most bodies have no list at all and need no second look.
    let schema = schema.filter(|_| body.contains(&b'['));
    let stray = schema.and_then(|schema| shape::stray_list(schema, &serde_json::from_slice(body).ok()?));
    match stray {
        Some(pointer) => Err(error::invalid_body().at(pointer, "want an object")),
        None => Ok(value),
    }
}

fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", shape::escape(key))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// Where an order goes.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct AddressInput {
    /// The door.
    #[garde(skip)]
    place: LatLng,
    /// Street, house, floor.
    #[garde(length(chars, min = 1, max = 300), pattern(PLAIN))]
    line: String,
    /// What the driver should know.
    #[serde(default)]
    #[garde(length(chars, max = 500), pattern(PLAIN))]
    note: String,
    /// Under which the customer is reached, with + and country code. The driver sees it while delivering.
    #[serde(default)]
    #[garde(skip)]
    phone: Option<Phone>,
}

impl From<AddressInput> for Address {
    fn from(input: AddressInput) -> Self {
        Self {
            place: input.place,
            line: input.line,
            note: input.note,
            phone: input.phone,
        }
    }
}

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// To be sent as `cursor` for what follows; `null` on the last page.
    pub next_cursor: Option<String>,
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
            read::<Outer>(body.as_bytes(), None).unwrap_err().body().errors[0]
                .pointer
                .clone()
                .unwrap()
        };
        assert_eq!(at(r#"{"list":[{"lat":1,"lng":2},{"lat":1,"lng":"x"}]}"#), "/list/1/lng");
        assert_eq!(at(r#"{"list":[],"a/b~":1}"#), "/a~1b~0");
        assert_eq!(at(r#"{"list":[]} x"#), "");
        assert_eq!(at(""), "");
    }

    #[test]
    fn rules_are_their_patterns() {
        for rule in [&PLAIN, &WORD, &KEY, &TOKEN, &LOCALE, &CODE] {
            let schema = json!({"pattern": rule.pattern});
            for letter in ('\0'..='\u{ff}').chain(['\u{2028}', '\u{1f600}']) {
                let text = format!("a{letter}b");
                assert_eq!(
                    (rule.holds)(&text),
                    jsonschema::is_valid(&schema, &json!(text)),
                    "{text:?} {rule}"
                );
            }
        }
    }
}
