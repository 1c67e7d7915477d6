use std::io::Write as _;
use std::net::SocketAddr;

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Settings {
    name: String,
    http: Http,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    regions: Vec<Region>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Http {
    listen: SocketAddr,
    #[serde(default)]
    secure: bool,
    ratio: f64,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    hold_ms: u32,
    queue: u16,
    tags: Vec<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            hold_ms: 600_000,
            queue: 10,
            tags: Vec::new(),
        }
    }
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Region {
    id: String,
}

impl Validate for Settings {
    fn validate(&self, faults: &mut Faults) {
        faults.require(self.name.len() < 10, "name", "is too long", "give at most 9 letters");
        faults.within("limits", |faults| {
            faults.range("hold_ms", self.limits.hold_ms, 1_000..=3_600_000);
            faults.range("queue", self.limits.queue, 1..=100);
        });
    }
}

fn read(text: &str, env: &[(&str, &str)]) -> Result<Settings, ConfigFaults> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    load(
        Some(file.path()),
        env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
        "TOMATO",
    )
}

fn paths(result: Result<Settings, ConfigFaults>) -> Vec<String> {
    result
        .unwrap_err()
        .faults()
        .iter()
        .map(|fault| fault.path.clone())
        .collect()
}

const GOOD: &str = "name = \"blr\"\n[http]\nlisten = \"127.0.0.1:80\"\nratio = 0.5\n";

#[test]
fn environment_overrides_file_and_defaults_fill_the_rest() {
    let env = [
        ("TOMATO__HTTP__LISTEN", "0.0.0.0:8080"),
        ("TOMATO__LIMITS__QUEUE", "7"),
        ("TOMATO__LIMITS__TAGS", r#"["a", "b"]"#),
        ("TOMATO__HTTP__SECURE", "true"),
        ("OTHER__NAME", "ignored"),
        ("TOMATO_NAME", "ignored"),
    ];
    let settings = read(GOOD, &env).unwrap();
    assert_eq!(settings.http.listen.port(), 8080);
    assert!(settings.http.secure);
    assert_eq!(
        settings.limits,
        Limits {
            hold_ms: 600_000,
            queue: 7,
            tags: vec!["a".into(), "b".into()]
        }
    );
}

#[test]
fn environment_alone_is_enough() {
    let env = [
        ("TOMATO__NAME", "blr"),
        ("TOMATO__HTTP__LISTEN", "[::1]:1"),
        ("TOMATO__HTTP__RATIO", "1.5"),
    ];
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    assert_eq!(load::<Settings>(None, env, "TOMATO").unwrap().name, "blr");
}

#[test]
fn text_that_looks_like_a_number_reaches_a_string_field() {
    assert_eq!(read(GOOD, &[("TOMATO__NAME", "42")]).unwrap().name, "42");
    assert_eq!(read(GOOD, &[("TOMATO__NAME", "12:30:00")]).unwrap().name, "12:30:00");
    assert_eq!(read(GOOD, &[("TOMATO__NAME", "a\nb=1")]).unwrap().name, "a\nb=1");
}

#[test]
fn every_fault_is_named_with_its_origin() {
    let text = "name = \"far too long a name\"\ncolour = 1\n[http]\nlisten = 5\nsecur = true\nratio = \"x\"\n\
                [limits]\nhold_ms = 3\n[[regions]]\nid = \"a\"\n[[regions]]\nidd = \"b\"\n";
    let error = read(text, &[("TOMATO__LIMITS__QUEUE", "70000"), ("TOMATO__", "x")]).unwrap_err();
    let found: Vec<(&str, &Origin)> = error.faults().iter().map(|f| (f.path.as_str(), &f.origin)).collect();
    let file = |line| {
        found.iter().find_map(|(_, o)| match o {
            Origin::File { path, .. } => Some(Origin::File {
                path: path.clone(),
                line,
            }),
            Origin::Env(_) | Origin::Unset => None,
        })
    };
    let line = |line| file(line).unwrap();
    let (queue, empty) = (
        Origin::Env("TOMATO__LIMITS__QUEUE".into()),
        Origin::Env("TOMATO__".into()),
    );
    let expected = [
        ("", &empty),
        ("colour", &line(2)),
        ("http.listen", &line(4)),
        ("http.ratio", &line(6)),
        ("http.secur", &line(5)),
        ("limits.hold_ms", &line(8)),
        ("limits.queue", &queue),
        ("name", &line(1)),
        ("regions.1.id", &line(11)),
        ("regions.1.idd", &line(12)),
    ];
    assert_eq!(found, expected, "{error}");
    let text = error.to_string();
    assert!(text.contains("did you mean `secure`?"), "{text}");
    assert!(text.starts_with("the configuration has 10 faults:\n  1. "), "{text}");
    assert!(text.contains("integer `70000`, expected u16"), "{text}");
}

#[test]
fn missing_keys_are_all_named_and_say_how_to_set_them() {
    let error = read("", &[]).unwrap_err();
    let found: Vec<&str> = error.faults().iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(found, ["http", "http.listen", "http.ratio", "name"], "{error}");
    assert!(
        error
            .to_string()
            .contains("set `listen` in [http] of the file, or TOMATO__HTTP__LISTEN"),
        "{error}"
    );
}

#[test]
fn an_ill_typed_required_key_is_named_once() {
    assert_eq!(
        paths(read("name = 5\n[http]\nlisten = \"nowhere\"\nratio = 1.0\n", &[])),
        ["http.listen", "name"]
    );
}

#[test]
fn an_ill_typed_section_is_one_fault() {
    assert_eq!(paths(read(&format!("limits = 5\n{GOOD}"), &[])), ["limits"]);
    assert_eq!(paths(read(GOOD, &[("TOMATO__LIMITS", "some")])), ["limits"]);
}

#[test]
fn every_element_of_a_list_is_looked_at() {
    let regions = "[[regions]]\nid = 1\n[[regions]]\nid = \"ok\"\n[[regions]]\nid = 2\n";
    assert_eq!(
        paths(read(&format!("{GOOD}{regions}"), &[])),
        ["regions.0.id", "regions.2.id"]
    );
    assert_eq!(paths(read(GOOD, &[("TOMATO__REGIONS", "[1, 2]")])), ["regions.0"]);
}

#[test]
fn syntax_errors_give_line_and_column() {
    let error = read("a = 1\n[http\nlisten = ]\n", &[]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("line 2 column"), "{text}");
    assert!(text.contains("line 3 column"), "both errors are named: {text}");
    let twice = read("name = \"a\"\nname = \"b\"\n", &[]).unwrap_err().to_string();
    assert!(twice.contains("line 2"), "{twice}");
}

#[test]
fn a_missing_file_is_named() {
    let error = load::<Settings>(Some(Path::new("/nowhere/node.toml")), std::iter::empty(), "TOMATO").unwrap_err();
    assert!(error.to_string().contains("/nowhere/node.toml"), "{error}");
}
