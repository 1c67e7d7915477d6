//! Faults that types cannot express: each is named, with what to do.

use h3o::Resolution;

use tomato_shared::time::UnixMs;

use super::{Config, Faults, Validate};

impl Validate for Config {
    fn validate(&self, faults: &mut Faults) {
        let named = !self.data_dir.as_os_str().is_empty();
        faults.require(
            named,
            "data_dir",
            "is missing",
            "name a directory that the node may write to",
        );
        faults.within("region", |faults| self.check_region(faults));
        self.check_profile(faults);
        faults.within("http", |faults| self.http.validate(faults));
        faults.within("auth", |faults| self.auth.validate(faults));
        faults.within("broker", |faults| self.broker.validate(faults));
        faults.within("orders", |faults| self.check_orders(faults));
        faults.within("fees", |faults| self.check_fees(faults));
        faults.within("cancelling", |faults| self.check_cancelling(faults));
        faults.within("driver_pay", |faults| self.check_driver_pay(faults));
        faults.within("dispatch", |faults| self.check_dispatch(faults));
        faults.within("borders", |faults| self.borders.validate(faults));
        faults.within("payments", |faults| self.payments.validate(faults));
        faults.within("push", |faults| self.push.validate(faults));
        faults.within("writer", |faults| self.check_writer(faults));
        faults.within("clock", |faults| self.check_clock(faults));
        faults.within("log", |faults| self.log.validate(faults));
        faults.within("otlp", |faults| self.otlp.validate(faults));
    }
}

impl Config {
    fn check_region(&self, faults: &mut Faults) {
        let region = &self.region;
        faults.require(
            region.id.is_some(),
            "id",
            "is missing",
            "name the region, as in id = \"blr\"",
        );
        faults.require(
            region.currency.is_some(),
            "currency",
            "is missing",
            "give a code as in currency = \"INR\"",
        );
        faults.require(
            jiff::tz::TimeZone::get(&region.time_zone).is_ok(),
            "time_zone",
            format_args!("{:?} is not a time zone", region.time_zone),
            "give an IANA name as in time_zone = \"Asia/Kolkata\"",
        );
        let fine = region.cells.iter().any(|cell| cell.0.resolution() > Resolution::Seven);
        faults.require(
            !fine,
            "cells",
            "holds a cell finer than resolution 7",
            "give its parent at resolution 7",
        );
        faults.require(
            region.cells.is_empty() != region.centre.is_none(),
            "cells",
            "and centre are both given, or both missing",
            "give either cells, or centre and rings",
        );
        faults.range("rings", region.rings, 0..=40);
        let url = region.public_url.starts_with("http://") || region.public_url.starts_with("https://");
        faults.require(
            url,
            "public_url",
            "is not an http or https address",
            "give the address that apps use",
        );
    }

    fn check_clock(&self, faults: &mut Faults) {
        faults.range("rate", self.clock.rate, 0.1..=10_000.0);
        // Counted from 1970, a fast clock would be in a year that no date can be written for.
        let anchored = self.clock.epoch != UnixMs(0) || (self.clock.rate - 1.0).abs() < f64::EPSILON;
        faults.require(
            anchored,
            "epoch",
            "is missing beside a rate",
            "give the moment the simulation starts, the same in all its processes",
        );
    }

    fn check_writer(&self, faults: &mut Faults) {
        let writer = &self.writer;
        faults.range("batch_max", writer.batch_max, 1..=10_000);
        faults.range("in_flight_max", writer.in_flight_max, 16..=100_000);
        faults.range("new_max", writer.new_max, 16..=100_000);
        faults.range("other_max", writer.other_max, 16..=100_000);
        faults.range("outbox_h", writer.outbox_h, 0..=87_600);
    }
}
