//! The command line.

use std::path::PathBuf;

use clap::Parser;
use tomato_tests::settings::REGIONS_MAX;

/// Starts a hub and some regions on this machine, fills them with restaurants, drivers and customers, and shows what
/// goes on. Everything listens on loopback only.
#[derive(Debug, Clone, Parser)]
#[command(name = "up", version)]
pub(crate) struct Args {
    /// Ends by itself when all orders are final: compares hub and regions, prints a table, and fails if they differ.
    #[arg(long)]
    pub(crate) once: bool,
    /// How many orders customers place, over all regions; without --once and this, they never stop.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) orders: Option<u64>,
    /// Cuts regions off from the hub and heals them, and kills processes, at random, while the orders go on.
    #[arg(long, conflicts_with = "replay")]
    pub(crate) chaos: bool,
    /// Feeds the MDRP instance in this directory to one region, instead of simulated customers.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["orders", "regions"])]
    pub(crate) replay: Option<PathBuf>,
    /// How many regions.
    #[arg(long, default_value_t = 3, value_parser = regions)]
    pub(crate) regions: usize,
    /// First port: the hub's HTTP; the regions follow at +10, +20 and so on.
    #[arg(long, default_value_t = 8700, value_parser = clap::value_parser!(u16).range(1024..=65_000))]
    pub(crate) port_base: u16,
    /// Directory to keep everything in; without, it is temporary. One that was used before is taken up again.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// How many times as fast as real time the regions' time runs. Default 60; 240 with --replay.
    #[arg(long, value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// Seed of everything that people do.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

impl Args {
    /// Orders to place in each region, as even as can be; `None`: without end.
    pub(crate) fn quotas(&self) -> Vec<Option<u64>> {
        let orders = self.orders.or(self.once.then_some(300));
        let regions = self.regions as u64;
        let share = |number: u64, orders: u64| orders / regions + u64::from(number < orders % regions);
        (0..regions)
            .map(|number| orders.map(|orders| share(number, orders)))
            .collect()
    }

    /// The clock's rate.
    pub(crate) fn rate(&self) -> f64 {
        self.rate.unwrap_or(if self.replay.is_some() { 240.0 } else { 60.0 })
    }
}

fn regions(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=REGIONS_MAX).contains(count));
    count.ok_or_else(|| format!("want 1 to {REGIONS_MAX}"))
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.1..=1_000.0).contains(rate));
    rate.ok_or_else(|| "want 0.1 to 1000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split(' '))
    }

    #[test]
    fn orders_are_shared_out_evenly() {
        let quotas = |line| parse(line).unwrap().quotas();
        assert_eq!(quotas("up --once --orders 11"), [Some(4), Some(4), Some(3)]);
        assert_eq!(quotas("up --once --regions 2"), [Some(150), Some(150)]);
        assert_eq!(quotas("up"), [None, None, None]);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "up --regions 0",
            "up --regions 99",
            "up --rate 0",
            "up --port-base 80",
            "up --replay d --orders 3",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!((parse("up --once --replay d").unwrap().rate() - 240.0).abs() < 1e-9);
    }
}
