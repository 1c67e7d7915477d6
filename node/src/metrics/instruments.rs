//! Counters, gauges and histograms as plain atomics, and the text page that Prometheus reads.
//!
//! Everything is counted in whole numbers of a small unit (microseconds, minor units of money) and written in the base
//! unit, so that counting is one or two additions and nothing is rounded on the way.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tomato_shared::time::DurationMs;

/// What is known of a metric before anything is counted.
#[derive(Debug, Clone, Copy)]
pub struct Declared {
    /// As Prometheus knows it.
    pub name: &'static str,
    /// `counter`, `gauge`, `histogram` or `summary`.
    pub kind: &'static str,
    /// What one of it is.
    pub unit: &'static str,
    /// Names of its labels, besides the region's.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// Something that can be written to a page.
pub trait Instrument {
    /// `counter`, `gauge`, `histogram` or `summary`.
    const KIND: &'static str;

    /// Whether nothing was counted yet.
    fn is_zero(&self) -> bool;

    /// Writes its lines; `labels` as in `kind="tip"`, or empty.
    fn write(&self, name: &str, labels: &str, page: &mut Page);
}

/// Only rises, from 0 at the start of the process.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// For what is counted elsewhere: the count as it stands.
    pub fn set(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Instrument for Counter {
    const KIND: &'static str = "counter";

    fn is_zero(&self) -> bool {
        self.get() == 0
    }

    fn write(&self, name: &str, labels: &str, page: &mut Page) {
        page.line(name, "", labels, self.get().into(), 0);
    }
}

/// How something stands when the page is read.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// A count.
    pub fn set(&self, count: usize) {
        self.0
            .store(i64::try_from(count).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

impl Instrument for Gauge {
    const KIND: &'static str = "gauge";

    fn is_zero(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    fn write(&self, name: &str, labels: &str, page: &mut Page) {
        page.line(name, "", labels, self.0.load(Ordering::Relaxed).into(), 0);
    }
}

/// A gauge in seconds.
#[derive(Debug, Default)]
pub struct SecondsGauge(AtomicI64);

impl SecondsGauge {
    /// A span.
    pub fn set(&self, span: DurationMs) {
        self.0.store(span.0, Ordering::Relaxed);
    }
}

impl Instrument for SecondsGauge {
    const KIND: &'static str = "gauge";

    fn is_zero(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    fn write(&self, name: &str, labels: &str, page: &mut Page) {
        page.line(name, "", labels, self.0.load(Ordering::Relaxed).into(), 3);
    }
}

/// How many there were and what they sum to.
#[derive(Debug, Default)]
pub struct Summary {
    sum: AtomicU64,
    count: AtomicU64,
}

impl Summary {
    /// One more.
    pub fn observe(&self, value: u64) {
        self.sum.fetch_add(value, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Instrument for Summary {
    const KIND: &'static str = "summary";

    fn is_zero(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    fn write(&self, name: &str, labels: &str, page: &mut Page) {
        page.line(name, "_sum", labels, self.sum.load(Ordering::Relaxed).into(), 0);
        page.line(name, "_count", labels, self.count.load(Ordering::Relaxed).into(), 0);
    }
}

/// How values spread over fixed bounds.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// Values are counted in 10^-decimals of what is written.
    decimals: u32,
    /// One more than there are bounds.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// Of spans, bounds in microseconds.
    pub fn seconds(bounds_us: &'static [u64]) -> Self {
        Self::new(bounds_us, 6)
    }

    /// Of counts.
    pub fn counts(bounds: &'static [u64]) -> Self {
        Self::new(bounds, 0)
    }

    fn new(bounds: &'static [u64], decimals: u32) -> Self {
        Self {
            bounds,
            decimals,
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// One more, in the unit of the bounds.
    pub fn observe(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// One more span.
    pub fn took(&self, span: Duration) {
        self.observe(u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
    }

    /// One more span of region time; those that point back are passed over.
    pub fn lasted(&self, span: DurationMs) {
        if let Ok(ms) = u64::try_from(span.0) {
            self.observe(ms.saturating_mul(1_000));
        }
    }
}

impl Instrument for Histogram {
    const KIND: &'static str = "histogram";

    fn is_zero(&self) -> bool {
        self.buckets.iter().all(|bucket| bucket.load(Ordering::Relaxed) == 0)
    }

    fn write(&self, name: &str, labels: &str, page: &mut Page) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut count = 0;
        for (nth, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            let bound = self.bounds.get(nth);
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| scaled((*bound).into(), self.decimals));
            page.line(
                name,
                "_bucket",
                &format!("{labels}{comma}le=\"{bound}\""),
                count.into(),
                0,
            );
        }
        let sum = self.sum.load(Ordering::Relaxed);
        page.line(name, "_sum", labels, sum.into(), self.decimals);
        page.line(name, "_count", labels, count.into(), 0);
    }
}

/// One instrument for each of a fixed list of labels.
#[derive(Debug)]
pub struct Family<I> {
    rows: Vec<(String, I)>,
    /// Rows of nothing are left out.
    sparse: bool,
}

impl<I> Family<I> {
    /// One for each of `labels`, as in `kind="tip"`.
    pub fn new(labels: impl IntoIterator<Item = String>, make: impl Fn() -> I) -> Self {
        Self {
            rows: labels.into_iter().map(|labels| (labels, make())).collect(),
            sparse: false,
        }
    }

    /// Leaves out rows of nothing: for lists of which most rows are never used.
    #[must_use]
    pub fn sparse(self) -> Self {
        Self { sparse: true, ..self }
    }

    /// The nth of the list.
    pub fn get(&self, nth: usize) -> Option<&I> {
        self.rows.get(nth).map(|(_, row)| row)
    }
}

impl<I: Instrument> Instrument for Family<I> {
    const KIND: &'static str = I::KIND;

    fn is_zero(&self) -> bool {
        self.rows.iter().all(|(_, row)| row.is_zero())
    }

    fn write(&self, name: &str, _labels: &str, page: &mut Page) {
        let rows = self.rows.iter().filter(|(_, row)| !self.sparse || !row.is_zero());
        rows.for_each(|(labels, row)| row.write(name, labels, page));
    }
}

/// The text format of Prometheus; each line bears the region.
#[derive(Debug)]
pub struct Page {
    text: String,
    region: String,
}

impl Page {
    pub(super) fn new(region: &str) -> Self {
        Self {
            text: String::new(),
            region: format!("region=\"{region}\""),
        }
    }

    /// Opens a metric.
    pub(super) fn open(&mut self, metric: &Declared) {
        let Declared { name, kind, help, .. } = metric;
        // Writing to a string does not fail.
        write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n").ok();
    }

    fn line(&mut self, name: &str, suffix: &str, labels: &str, value: i128, decimals: u32) {
        let comma = if labels.is_empty() { "" } else { "," };
        let (region, value) = (&self.region, scaled(value, decimals));
        writeln!(self.text, "{name}{suffix}{{{region}{comma}{labels}}} {value}").ok();
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// `value` / 10^decimals, without zeros at the end.
fn scaled(value: i128, decimals: u32) -> String {
    let unit = 10_u128.pow(decimals);
    let (sign, size) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
    let (whole, rest) = (size / unit, size % unit);
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    let width = usize::try_from(decimals).unwrap_or(0);
    let text = format!("{sign}{whole}.{rest:0width$}");
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_base_units() {
        for (value, decimals, text) in [
            (0, 6, "0"),
            (1_500, 3, "1.5"),
            (-250, 3, "-0.25"),
            (1_000_001, 6, "1.000001"),
            (7, 0, "7"),
        ] {
            assert_eq!(scaled(value, decimals), text);
        }
    }

    #[test]
    fn buckets_hold_what_is_not_above_their_bound_and_add_up() {
        let histogram = Histogram::seconds(&[1_000, 10_000]);
        for us in [1_000, 1_001, 10_000, 20_000] {
            histogram.observe(us);
        }
        let mut page = Page::new("blr");
        histogram.write("h", "", &mut page);
        let lines = [
            "h_bucket{region=\"blr\",le=\"0.001\"} 1",
            "h_bucket{region=\"blr\",le=\"0.01\"} 3",
            "h_bucket{region=\"blr\",le=\"+Inf\"} 4",
            "h_sum{region=\"blr\"} 0.032001",
            "h_count{region=\"blr\"} 4",
        ];
        assert_eq!(page.finish().lines().collect::<Vec<_>>(), lines);
    }
}
