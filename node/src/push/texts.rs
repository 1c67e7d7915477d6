//! What a person reads: which events are worth a message in which app, how urgent it is, for how long, and in which words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tomato_shared::time::DurationMs;

use super::model::App;
use crate::feed::audience::Name;

/// Characters of a title or body; more does not fit a lock screen.
const CHARS_MAX: usize = 200;

/// A message without its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// How long after the event it is worth reading.
    pub ttl: DurationMs,
    /// Whether the device should wake up for it.
    pub urgent: bool,
}

/// Words of a message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// First line.
    pub title: String,
    /// Second line.
    pub body: String,
}

const MINUTES: fn(i64) -> DurationMs = DurationMs::from_mins;
const DAY: i64 = 24 * 60;

/// Every message, in English: app, event, minutes for which it is worth reading, whether it is urgent, title, body.
type Row = (App, Name, i64, bool, &'static str, &'static str);

const ROWS: &[Row] = &[
    (
        App::Customer,
        Name::OrderConfirmed,
        60,
        false,
        "Order confirmed",
        "The restaurant has your order.",
    ),
    (
        App::Customer,
        Name::OrderScheduled,
        DAY,
        false,
        "Order scheduled",
        "It will be cooked in time.",
    ),
    (
        App::Customer,
        Name::PaymentActionRequired,
        10,
        true,
        "Confirm your payment",
        "Your bank wants to hear from you.",
    ),
    (
        App::Customer,
        Name::PaymentFailed,
        60,
        true,
        "Payment failed",
        "Your order was not placed.",
    ),
    (
        App::Customer,
        Name::PaymentRefunded,
        DAY,
        false,
        "Refund sent",
        "The money is on its way back to you.",
    ),
    (
        App::Customer,
        Name::OrderPreparing,
        60,
        false,
        "Order accepted",
        "Your food is being cooked.",
    ),
    (
        App::Customer,
        Name::OrderDelayed,
        30,
        false,
        "A little later",
        "Your order will be ready at another time.",
    ),
    (
        App::Customer,
        Name::ChangeProposed,
        10,
        true,
        "Something is missing",
        "The restaurant proposes a change; please answer.",
    ),
    (
        App::Customer,
        Name::OrderPickedUp,
        60,
        false,
        "On its way",
        "The driver has your order.",
    ),
    (
        App::Customer,
        Name::OrderDelivered,
        240,
        false,
        "Delivered",
        "Enjoy your meal!",
    ),
    (
        App::Customer,
        Name::OrderCancelled,
        DAY,
        true,
        "Order cancelled",
        "What you paid for it goes back to you.",
    ),
    (
        App::Customer,
        Name::RatingRequested,
        DAY,
        false,
        "How was it?",
        "Rate your order.",
    ),
    (
        App::Customer,
        Name::TipFailed,
        DAY,
        false,
        "Tip not taken",
        "Your card was declined.",
    ),
    (
        App::Restaurant,
        Name::NewOrder,
        10,
        true,
        "New order",
        "Accept it, or say no.",
    ),
    (
        App::Restaurant,
        Name::OrderOverdue,
        10,
        true,
        "An order is late",
        "Somebody is waiting; please look.",
    ),
    (
        App::Restaurant,
        Name::OrderWithdrawn,
        30,
        false,
        "Order withdrawn",
        "It went to another restaurant.",
    ),
    (
        App::Restaurant,
        Name::OrderCancelled,
        60,
        true,
        "Order cancelled",
        "Stop cooking it.",
    ),
    (
        App::Restaurant,
        Name::OrderChanged,
        30,
        true,
        "Change agreed",
        "The customer agreed to your change.",
    ),
    (
        App::Restaurant,
        Name::ChangeEnded,
        30,
        false,
        "Change ended",
        "Your proposal is over.",
    ),
    (
        App::Restaurant,
        Name::DriverArrived,
        10,
        true,
        "The driver is here",
        "They wait for the order.",
    ),
    (
        App::Driver,
        Name::NewOffer,
        1,
        true,
        "New delivery",
        "Take it, or say no.",
    ),
    (
        App::Driver,
        Name::DriverAssigned,
        10,
        true,
        "Delivery assigned",
        "Go to the restaurant.",
    ),
    (
        App::Driver,
        Name::DriverUnassigned,
        10,
        true,
        "Delivery taken back",
        "It went to somebody else.",
    ),
    (
        App::Driver,
        Name::OrderReady,
        10,
        false,
        "Order ready",
        "It waits for you at the restaurant.",
    ),
    (
        App::Driver,
        Name::OrderCancelled,
        30,
        true,
        "Delivery cancelled",
        "The order was given up.",
    ),
    (
        App::Driver,
        Name::OrderTipped,
        DAY,
        false,
        "You got a tip",
        "A customer thanks you.",
    ),
];

/// How an event is told in an app; `None` where it is not.
pub fn style(app: App, name: Name) -> Option<Style> {
    row(app, name).map(|(_, _, minutes, urgent, ..)| Style {
        ttl: MINUTES(*minutes),
        urgent: *urgent,
    })
}

fn row(app: App, name: Name) -> Option<&'static Row> {
    ROWS.iter().find(|row| (row.0, row.1) == (app, name))
}

/// What the words are found under, in the file and on the device: `customer.ORDER_DELIVERED`.
pub fn key(app: App, name: Name) -> String {
    let app = match app {
        App::Customer => "customer",
        App::Restaurant => "restaurant",
        App::Driver => "driver",
    };
    format!("{app}.{}", name.text())
}

/// Words by language and key.
#[derive(Debug, Default)]
pub struct Texts(BTreeMap<String, BTreeMap<String, Text>>);

/// A file of words that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the words in {} cannot be used: {reason}; see [push] texts_file", path.display())]
pub struct TextsError {
    path: PathBuf,
    reason: String,
}

impl Texts {
    /// English, and what the file has: a table per language, `[hi]`, with lines as
    /// `"customer.ORDER_DELIVERED" = { title = "...", body = "..." }`.
    ///
    /// # Errors
    /// [`TextsError`] where the file cannot be read, or has a key that is no message.
    pub fn load(path: &Path) -> Result<Self, TextsError> {
        if path.as_os_str().is_empty() {
            return Ok(Self::default());
        }
        let fault = |reason: String| TextsError {
            path: path.to_owned(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
        let read: BTreeMap<String, BTreeMap<String, Text>> =
            toml::from_str(&text).map_err(|error| fault(error.message().to_owned()))?;
        for (language, texts) in &read {
            for (name, text) in texts {
                if !ROWS.iter().any(|row| key(row.0, row.1) == *name) {
                    return Err(fault(format!("{language}: {name} is no message")));
                }
                if [&text.title, &text.body]
                    .iter()
                    .any(|text| text.chars().count() > CHARS_MAX)
                {
                    return Err(fault(format!(
                        "{language}: {name} is longer than {CHARS_MAX} characters"
                    )));
                }
            }
        }
        let read = read
            .into_iter()
            .map(|(language, texts)| (language.to_ascii_lowercase(), texts));
        Ok(Self(read.collect()))
    }

    /// The words for a device: in its language as spoken in its country, in its language, or in English.
    pub fn of(&self, (app, name): (App, Name), locale: &str) -> Text {
        let locale = locale.to_ascii_lowercase();
        let language = locale.split('-').next().unwrap_or_default();
        let key = key(app, name);
        let mut found = [locale.as_str(), language]
            .into_iter()
            .filter_map(|language| self.0.get(language)?.get(&key));
        found.next().cloned().unwrap_or_else(|| {
            let english = row(app, name).map_or(("", ""), |row| (row.4, row.5));
            Text {
                title: english.0.to_owned(),
                body: english.1.to_owned(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_by_language_and_country() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("texts.toml");
        let delivered = (App::Customer, Name::OrderDelivered);
        std::fs::write(
            &file,
            "[hi]\n\"customer.ORDER_DELIVERED\" = { title = \"पहुँचा दिया\", body = \"मज़े लें!\" }\n\
             [en-GB]\n\"customer.ORDER_DELIVERED\" = { title = \"Delivered\", body = \"Tuck in!\" }\n",
        )
        .unwrap();
        let texts = Texts::load(&file).unwrap();
        assert_eq!(texts.of(delivered, "hi-IN").title, "पहुँचा दिया");
        assert_eq!(texts.of(delivered, "en-gb").body, "Tuck in!");
        assert_eq!(texts.of(delivered, "en-IN").body, "Enjoy your meal!");
        assert_eq!(texts.of((App::Driver, Name::NewOffer), "hi").title, "New delivery");
        for bad in [
            "[hi]\n\"customer.NOTHING\" = { title = \"\", body = \"\" }",
            "[hi]\nx = 1",
            "hi = 1",
        ] {
            std::fs::write(&file, bad).unwrap();
            assert!(Texts::load(&file).is_err(), "{bad}");
        }
        assert!(Texts::load(Path::new("")).is_ok() && Texts::load(Path::new("/nowhere")).is_err());
    }

    #[test]
    fn every_message_has_words_and_stands_there_once() {
        for (nth, row) in ROWS.iter().enumerate() {
            assert!(!row.4.is_empty() && !row.5.is_empty() && row.2 > 0, "{row:?}");
            assert!(
                ROWS[..nth].iter().all(|other| (other.0, other.1) != (row.0, row.1)),
                "{row:?}"
            );
        }
    }
}
