//! Opening hours as people say them, in the region's time zone, and what they mean on the clock.
//!
//! A span that ends at or before its start goes on into the next day. Where the clock is put forward, a time that does
//! not exist stands for the moment an hour later; where it is put back, the first of the two is meant (the "compatible"
//! rule of RFC 5545, 3.3.5). So a place that closes at 2:30 closes once, and a night with 25 hours is one hour longer.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tomato_shared::time::UnixMs;

/// Longest time that is looked ahead for the next opening, in days.
const AHEAD_DAYS: i32 = 14;

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl From<jiff::civil::Weekday> for Weekday {
    fn from(day: jiff::civil::Weekday) -> Self {
        use jiff::civil::Weekday as W;
        match day {
            W::Monday => Self::Mon,
            W::Tuesday => Self::Tue,
            W::Wednesday => Self::Wed,
            W::Thursday => Self::Thu,
            W::Friday => Self::Fri,
            W::Saturday => Self::Sat,
            W::Sunday => Self::Sun,
        }
    }
}

/// A time of the day to the minute, `09:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minute(u16);

impl Minute {
    /// `None` beyond 23:59.
    pub const fn new(hour: u16, minute: u16) -> Option<Self> {
        if hour < 24 && minute < 60 {
            Some(Self(hour * 60 + minute))
        } else {
            None
        }
    }

    fn time(self) -> Time {
        let hour = i8::try_from(self.0 / 60).unwrap_or(0);
        let minute = i8::try_from(self.0 % 60).unwrap_or(0);
        jiff::civil::time(hour, minute, 0, 0)
    }
}

impl std::fmt::Display for Minute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl std::str::FromStr for Minute {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "want a time as in 09:30";
        let (hour, minute) = text.split_once(':').ok_or(wrong)?;
        let two = |part: &str| {
            let plain = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| part.parse::<u16>().ok()).flatten()
        };
        let (hour, minute) = (two(hour).ok_or(wrong)?, two(minute).ok_or(wrong)?);
        Self::new(hour, minute).ok_or(wrong)
    }
}

impl Serialize for Minute {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Minute {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Minute".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
            "description": "A time of the day to the minute, 09:30."
        })
    }
}

impl<'de> Deserialize<'de> for Minute {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One span of a week. A day may have several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// The day on which it begins.
    pub day: Weekday,
    /// When it begins.
    pub from: Minute,
    /// When it ends; the next day, if that is not after `from`.
    pub to: Minute,
}

/// A time in which the place is closed whatever the week says, by the clock on the wall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Closure {
    /// From, as in `2026-12-24T18:00:00`.
    #[schemars(with = "String", regex(pattern = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$"))]
    pub from: DateTime,
    /// Until.
    #[schemars(with = "String", regex(pattern = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$"))]
    pub to: DateTime,
    /// Shown to customers.
    #[serde(default)]
    pub reason: String,
}

/// When a place is open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// The week; always open, where empty.
    #[serde(default)]
    pub week: Vec<Opening>,
    /// Exceptions.
    #[serde(default)]
    pub closures: Vec<Closure>,
}

impl Hours {
    /// Whether the place is open at a moment.
    pub fn is_open(&self, at: UnixMs, zone: &TimeZone) -> bool {
        self.closes_at(at, zone).is_some()
    }

    /// The end of the time in which the place is open at `at`; [`UnixMs`]'s largest value if it never closes, `None` if
    /// it is closed. Spans that touch count as one.
    pub fn closes_at(&self, at: UnixMs, zone: &TimeZone) -> Option<UnixMs> {
        if self.is_closed_for_once(at, zone) {
            return None;
        }
        let mut end = if self.week.is_empty() {
            UnixMs(i64::MAX)
        } else {
            self.week_end(at, zone)?
        };
        // Over midnight and from lunch into dinner without a break: the same opening.
        for _ in 0..8 {
            match self
                .week_end(end, zone)
                .filter(|_| !self.week.is_empty() && end.0 != i64::MAX)
            {
                Some(later) if later > end => end = later,
                Some(_) | None => break,
            }
        }
        let closures = self.closures.iter().filter_map(|closure| instant(closure.from, zone));
        Some(closures.filter(|from| *from > at).fold(end, UnixMs::min))
    }

    /// When the place opens next, looking 14 days ahead; `at` itself where it is open.
    pub fn opens_at(&self, at: UnixMs, zone: &TimeZone) -> Option<UnixMs> {
        if self.is_open(at, zone) {
            return Some(at);
        }
        let today = civil(at, zone)?.date();
        let ends = self.closures.iter().filter_map(|closure| instant(closure.to, zone));
        let mut moments: Vec<UnixMs> = ends.collect();
        for ahead in -1..AHEAD_DAYS {
            let Ok(date) = today.checked_add(ahead.days()) else {
                break;
            };
            moments.extend(self.spans_of(date, zone).map(|(from, _)| from));
        }
        moments.retain(|moment| *moment > at);
        moments.sort_unstable();
        moments.into_iter().find(|moment| self.is_open(*moment, zone))
    }

    /// The end of the span of the week that holds `at`.
    fn week_end(&self, at: UnixMs, zone: &TimeZone) -> Option<UnixMs> {
        let today = civil(at, zone)?.date();
        let yesterday = today.checked_sub(1.day()).ok()?;
        let holds = |(from, to): &(UnixMs, UnixMs)| *from <= at && at < *to;
        let spans = self.spans_of(yesterday, zone).chain(self.spans_of(today, zone));
        spans.filter(holds).map(|(_, to)| to).max()
    }

    fn spans_of(&self, date: Date, zone: &TimeZone) -> impl Iterator<Item = (UnixMs, UnixMs)> {
        let day = Weekday::from(date.weekday());
        let next = date.checked_add(1.day()).unwrap_or(date);
        let of_day = self.week.iter().filter(move |opening| opening.day == day);
        of_day.filter_map(move |opening| {
            let last = if opening.to > opening.from { date } else { next };
            let from = instant(date.to_datetime(opening.from.time()), zone)?;
            let to = instant(last.to_datetime(opening.to.time()), zone)?;
            Some((from, to))
        })
    }

    fn is_closed_for_once(&self, at: UnixMs, zone: &TimeZone) -> bool {
        self.closures.iter().any(|closure| {
            let from = instant(closure.from, zone);
            let to = instant(closure.to, zone);
            from.zip(to).is_some_and(|(from, to)| from <= at && at < to)
        })
    }
}

fn civil(at: UnixMs, zone: &TimeZone) -> Option<DateTime> {
    let at = Timestamp::from_millisecond(at.0).ok()?;
    Some(zone.to_datetime(at))
}

fn instant(local: DateTime, zone: &TimeZone) -> Option<UnixMs> {
    let at = zone.to_ambiguous_timestamp(local).compatible().ok()?;
    Some(UnixMs(at.as_millisecond()))
}

/// The next midnight by the clock on the wall.
pub fn next_midnight(at: UnixMs, zone: &TimeZone) -> Option<UnixMs> {
    let tomorrow = civil(at, zone)?.date().checked_add(1.day()).ok()?;
    instant(tomorrow.to_datetime(Time::midnight()), zone)
}
