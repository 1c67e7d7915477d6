//! Opening hours on the wall and on the clock: several spans a day, nights, the two nights in which clocks change.

use jiff::tz::TimeZone;
use tomato_shared::time::UnixMs;

use crate::engine::model::{Hours, next_midnight};

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

pub(super) fn at(text: &str) -> UnixMs {
    serde_json::from_value(text.into()).unwrap()
}

/// Spans as `sat 18:00 02:30`.
pub(super) fn week(spans: &[&str]) -> Hours {
    let span = |text: &&str| {
        let words: Vec<_> = text.split(' ').collect();
        serde_json::json!({"day": words[0], "from": words[1], "to": words[2]})
    };
    let week: Vec<_> = spans.iter().map(span).collect();
    serde_json::from_value(serde_json::json!({ "week": week })).unwrap()
}

fn closed_for(mut hours: Hours, from: &str, to: &str) -> Hours {
    let closure = serde_json::json!({"from": from, "to": to, "reason": "holiday"});
    hours.closures.push(serde_json::from_value(closure).unwrap());
    hours
}

#[track_caller]
fn open(hours: &Hours, moment: &str, closes: &str) {
    assert_eq!(hours.closes_at(at(moment), &berlin()), Some(at(closes)), "{moment}");
    assert!(hours.is_open(at(moment), &berlin()));
    assert_eq!(hours.opens_at(at(moment), &berlin()), Some(at(moment)));
}

#[track_caller]
fn closed(hours: &Hours, moment: &str, opens: &str) {
    assert_eq!(hours.closes_at(at(moment), &berlin()), None, "{moment}");
    assert_eq!(hours.opens_at(at(moment), &berlin()), Some(at(opens)), "{moment}");
}

#[test]
fn place_without_hours_never_closes() {
    let always = Hours::default();
    assert_eq!(
        always.closes_at(at("2026-03-29T02:30:00+01:00"), &berlin()),
        Some(UnixMs(i64::MAX))
    );
}

#[test]
fn day_may_have_lunch_and_dinner() {
    let hours = week(&["mon 11:30 14:00", "mon 17:30 22:00"]);
    closed(&hours, "2026-06-01T11:29:59.999+02:00", "2026-06-01T11:30:00+02:00");
    open(&hours, "2026-06-01T11:30:00+02:00", "2026-06-01T14:00:00+02:00");
    open(&hours, "2026-06-01T13:59:59.999+02:00", "2026-06-01T14:00:00+02:00");
    closed(&hours, "2026-06-01T14:00:00+02:00", "2026-06-01T17:30:00+02:00");
    open(&hours, "2026-06-01T20:00:00+02:00", "2026-06-01T22:00:00+02:00");
    closed(&hours, "2026-06-01T22:00:00+02:00", "2026-06-08T11:30:00+02:00");
}

#[test]
fn span_goes_on_over_midnight() {
    let hours = week(&["fri 18:00 02:00"]);
    open(&hours, "2026-06-05T23:59:00+02:00", "2026-06-06T02:00:00+02:00");
    open(&hours, "2026-06-06T01:59:00+02:00", "2026-06-06T02:00:00+02:00");
    closed(&hours, "2026-06-06T02:00:00+02:00", "2026-06-12T18:00:00+02:00");
    // Thursday's night is not Friday's.
    closed(&hours, "2026-06-05T01:00:00+02:00", "2026-06-05T18:00:00+02:00");
}

#[test]
fn spans_that_touch_are_one_opening() {
    let hours = week(&["sat 10:00 00:00", "sun 00:00 03:00", "sun 03:00 04:00"]);
    open(&hours, "2026-06-06T12:00:00+02:00", "2026-06-07T04:00:00+02:00");
    let whole_day = week(&["sat 00:00 00:00"]);
    open(&whole_day, "2026-06-06T00:00:00+02:00", "2026-06-07T00:00:00+02:00");
}

#[test]
fn sunday_night_reaches_into_monday() {
    let hours = week(&["sun 20:00 01:00"]);
    open(&hours, "2026-06-08T00:30:00+02:00", "2026-06-08T01:00:00+02:00");
}

#[test]
fn closure_closes_whatever_the_week_says() {
    let hours = closed_for(
        week(&["thu 10:00 22:00", "fri 10:00 22:00"]),
        "2026-12-24T14:00",
        "2026-12-25T12:00",
    );
    open(&hours, "2026-12-24T10:00:00+01:00", "2026-12-24T14:00:00+01:00");
    closed(&hours, "2026-12-24T14:00:00+01:00", "2026-12-25T12:00:00+01:00");
    open(&hours, "2026-12-25T12:00:00+01:00", "2026-12-25T22:00:00+01:00");
    let always = closed_for(Hours::default(), "2026-12-24T14:00", "2026-12-25T12:00");
    open(&always, "2026-12-24T10:00:00+01:00", "2026-12-24T14:00:00+01:00");
    closed(&always, "2026-12-25T11:59:00+01:00", "2026-12-25T12:00:00+01:00");
}

#[test]
fn place_that_stays_closed_for_weeks_says_no_day() {
    let hours = closed_for(Hours::default(), "2026-08-01T00:00", "2027-08-01T00:00");
    // The closure's own end is known, however far.
    closed(&hours, "2026-08-02T00:00:00+02:00", "2027-08-01T00:00:00+02:00");
    let never = closed_for(week(&["mon 10:00 12:00"]), "2026-08-01T00:00", "2027-08-01T00:00");
    assert_eq!(never.opens_at(at("2026-08-02T00:00:00+02:00"), &berlin()), None);
}

/// 2026-03-29: two o'clock is three o'clock.
#[test]
fn place_that_closes_in_the_missing_hour_is_open_as_long_as_ever() {
    let hours = week(&["sat 18:00 02:30"]);
    open(&hours, "2026-03-28T18:00:00+01:00", "2026-03-29T03:30:00+02:00");
    open(&hours, "2026-03-29T01:59:00+01:00", "2026-03-29T03:30:00+02:00");
    open(&hours, "2026-03-29T03:29:00+02:00", "2026-03-29T03:30:00+02:00");
    closed(&hours, "2026-03-29T03:30:00+02:00", "2026-04-04T18:00:00+02:00");
}

#[test]
fn place_that_closes_at_three_loses_the_missing_hour() {
    let hours = week(&["sat 18:00 03:00"]);
    open(&hours, "2026-03-29T01:59:59.999+01:00", "2026-03-29T03:00:00+02:00");
    closed(&hours, "2026-03-29T03:00:00+02:00", "2026-04-04T18:00:00+02:00");
}

#[test]
fn opening_within_the_missing_hour_is_an_hour_later() {
    let hours = week(&["sun 02:30 06:00"]);
    closed(&hours, "2026-03-29T01:59:00+01:00", "2026-03-29T03:30:00+02:00");
    open(&hours, "2026-03-29T03:30:00+02:00", "2026-03-29T06:00:00+02:00");
    // A span that ends before it could begin is none.
    let gone = week(&["sun 02:15 03:00"]);
    closed(&gone, "2026-03-29T03:20:00+02:00", "2026-04-05T02:15:00+02:00");
}

/// 2026-10-25: three o'clock is two o'clock once more.
#[test]
fn place_that_closes_in_the_doubled_hour_closes_the_first_time() {
    let hours = week(&["sat 18:00 02:30"]);
    open(&hours, "2026-10-25T02:29:00+02:00", "2026-10-25T02:30:00+02:00");
    closed(&hours, "2026-10-25T02:30:00+02:00", "2026-10-31T18:00:00+01:00");
    closed(&hours, "2026-10-25T02:10:00+01:00", "2026-10-31T18:00:00+01:00");
}

#[test]
fn place_that_closes_at_three_is_open_both_times() {
    let hours = week(&["sat 18:00 03:00"]);
    open(&hours, "2026-10-25T02:30:00+02:00", "2026-10-25T03:00:00+01:00");
    open(&hours, "2026-10-25T02:30:00+01:00", "2026-10-25T03:00:00+01:00");
    closed(&hours, "2026-10-25T03:00:00+01:00", "2026-10-31T18:00:00+01:00");
    let long = at("2026-10-25T03:00:00+01:00") - at("2026-10-24T18:00:00+02:00");
    assert_eq!(long.0, 10 * 3_600_000);
}

#[test]
fn midnight_is_where_the_clock_on_the_wall_says() {
    let next = |moment| next_midnight(at(moment), &berlin());
    assert_eq!(next("2026-03-29T00:30:00+01:00"), Some(at("2026-03-30T00:00:00+02:00")));
    assert_eq!(next("2026-10-25T00:30:00+02:00"), Some(at("2026-10-26T00:00:00+01:00")));
    assert_eq!(next("2026-06-01T00:00:00+02:00"), Some(at("2026-06-02T00:00:00+02:00")));
}

#[test]
fn times_of_the_day_are_read_strictly() {
    let read = |text: &str| text.parse::<crate::engine::model::Minute>();
    for bad in ["24:00", "9:30", "09:60", "0930", "09:3", "+9:30", "", "09:30:00"] {
        assert!(read(bad).is_err(), "{bad}");
    }
    assert_eq!(read("00:05").unwrap().to_string(), "00:05");
}
