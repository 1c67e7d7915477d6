//! The harness keeps the rules, repeats itself, and lets no decision depend on what has not happened yet.

use std::fs;
use std::path::Path;

use clap::Parser as _;

use super::ablation::{Scope, Withheld, table};
use super::check::check;
use super::instance::Instance;
use super::outcome::{Outcome, Trip};
use super::output;
use super::run::{Policy, Prep, Setup, run};
use super::synth::{generate, suite};
use crate::engine::matching::Config;

/// Little search: the rules must hold at any effort, and unoptimised code is slow.
fn replay(instance: &Instance, policy: Policy, prep: Prep) -> Outcome {
    let config = Config {
        improve_work: 300,
        candidates: 8,
        ..Config::default()
    };
    let (outcome, _, faults) = run(
        instance,
        &Setup {
            config,
            ..Setup::of(policy, prep)
        },
        &|| 0.0,
    );
    assert!(faults.is_empty(), "{faults:?}");
    outcome
}

fn small() -> Instance {
    generate(&suite(6)[5])
}

/// What had been decided for good by the end of `minute`.
fn decided(outcome: &Outcome, minute: i64) -> Vec<String> {
    let mut rows: Vec<String> = outcome
        .trips
        .iter()
        .filter(|trip| trip.pickup_min <= minute)
        .map(|trip: &Trip| format!("{trip:?}"))
        .collect();
    rows.sort();
    rows
}

#[test]
fn solutions_pass_the_strict_check() {
    for shape in suite(3) {
        let instance = generate(&shape);
        for prep in [Prep::Known, Prep::Estimated, Prep::HistoricMean] {
            assert!(!replay(&instance, Policy::Matching, prep).trips.is_empty());
        }
        replay(&instance, Policy::Nearest, Prep::Known);
    }
}

#[test]
fn the_same_instance_replays_the_same() {
    let instance = small();
    let first = replay(&instance, Policy::Matching, Prep::Estimated);
    let again = replay(&instance, Policy::Matching, Prep::Estimated);
    assert_eq!(decided(&first, i64::MAX), decided(&again, i64::MAX));
}

#[test]
fn no_decision_depends_on_orders_not_yet_placed() {
    let instance = small();
    let minute = 500;
    let mut other = instance.clone();
    for order in other.orders.iter_mut().filter(|order| order.placed_min > minute) {
        order.ready_min += 9;
        order.at.x_m += 1_500.0;
    }
    for prep in [Prep::Known, Prep::Estimated] {
        let (a, b) = (
            replay(&instance, Policy::Matching, prep),
            replay(&other, Policy::Matching, prep),
        );
        assert_eq!(decided(&a, minute), decided(&b, minute));
        assert_ne!(decided(&a, i64::MAX), decided(&b, i64::MAX));
    }
}

#[test]
fn estimated_preparation_is_not_seen_before_it_is_over() {
    let instance = small();
    let minute = 500;
    let mut other = instance.clone();
    let mut touched = 0;
    for order in other.orders.iter_mut().filter(|order| order.ready_min > minute) {
        order.ready_min += 17;
        touched += usize::from(order.placed_min <= minute);
    }
    assert!(touched > 0);
    let (a, b) = (
        replay(&instance, Policy::Matching, Prep::Estimated),
        replay(&other, Policy::Matching, Prep::Estimated),
    );
    assert_eq!(decided(&a, minute), decided(&b, minute));
}

#[test]
fn a_tampered_solution_is_found_out() {
    let instance = small();
    let sound = replay(&instance, Policy::Matching, Prep::Known);
    let wrongs: [fn(&mut Trip); 5] = [
        |trip| trip.pickup_min -= 1,
        |trip| trip.arrive_min -= 1,
        |trip| trip.depart_min -= 600,
        |trip| trip.stops.push(trip.stops[0]),
        |trip| trip.stops[0].dropoff_min -= 1,
    ];
    for (which, wrong) in wrongs.iter().enumerate() {
        let mut outcome = sound.clone();
        wrong(&mut outcome.trips[7]);
        assert!(!check(&instance, &outcome).is_empty(), "wrong {which} passed");
    }
}

#[test]
fn whatever_is_withheld_the_rules_are_kept_and_it_is_missed() {
    use Withheld::{LastPlan, NotFree, NotReady, OpenPickups, Spread};

    let instance = small();
    let config = Config {
        improve_work: 300,
        candidates: 8,
        ..Config::default()
    };
    let play = |withheld| {
        let whole = Setup::of(Policy::Matching, Prep::Estimated);
        let setup = Setup {
            config: config.clone(),
            withheld,
            ..whole
        };
        let (outcome, row, faults) = run(&instance, &setup, &|| 0.0);
        assert!(faults.is_empty(), "{withheld:?}: {faults:?}");
        (decided(&outcome, i64::MAX), row.pctd)
    };
    let (whole, pctd) = play(Withheld::Nothing);
    for withheld in [NotReady, NotFree, LastPlan, OpenPickups, Spread] {
        let (without, worse) = play(withheld);
        assert_ne!(whole, without, "{withheld:?}");
        assert!(withheld != NotReady || worse > pctd + 1.0, "{worse} and {pctd}");
    }
}

#[test]
fn the_table_of_ideas_has_those_that_were_asked_for() {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        scope: Scope,
        /// What `scope` is for.
        #[arg(long)]
        ablation: bool,
    }

    let dir = tempfile::tempdir().unwrap();
    let one = "order\tx\ty\tplacement_time\trestaurant\tready_time\no1\t900\t0\t10\tr1\t25\n";
    written(dir.path(), "orders.txt", Some(one));
    let instance = Instance::read(dir.path()).unwrap();
    assert!(Line::try_parse_from(["replay", "--seeds", "2"]).is_err());
    let line = Line::try_parse_from([
        "replay",
        "--ablation",
        "--idea",
        "bundles",
        "--idea",
        "own past",
        "--seeds",
        "2",
    ]);
    let line = line.unwrap();
    assert!(line.ablation);
    for (prep, wanted) in [(Prep::Known, 4), (Prep::Estimated, 5)] {
        let mut lines = Vec::new();
        let mut say = |line: &str| lines.push(line.to_owned());
        assert_eq!(table(std::slice::from_ref(&instance), prep, &line.scope, &mut say), 0);
        assert_eq!(lines.len(), wanted, "{lines:?}");
        assert!(
            lines[2].starts_with("bundles ") && lines[2].contains("+0.00"),
            "{lines:?}"
        );
    }
}

/// Writes a small instance of two orders, with `file` replaced by `text` or, without one, left out.
fn written(dir: &Path, file: &str, text: Option<&str>) {
    for (name, usual) in [
        (
            "orders.txt",
            "order\tx\ty\tplacement_time\trestaurant\tready_time\no1\t900\t0\t10\tr1\t25\no2\t0\t900\t12\tr1\t20",
        ),
        ("couriers.txt", "courier\tx\ty\ton_time\toff_time\nc1\t0\t0\t0\t200\n"),
        ("restaurants.txt", "restaurant\tx\ty\nr1\t300\t300\n"),
        (
            "instance_parameters.txt",
            "m\tp\td\tt\tx\to\th\n320\t4\t4\t40\t90\t10\t15\n",
        ),
    ] {
        match text {
            Some(text) if name == file => fs::write(dir.join(name), text).unwrap(),
            None if name == file => {}
            _ => fs::write(dir.join(name), usual).unwrap(),
        }
    }
}

#[test]
fn solution_files_are_written_as_the_evaluator_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), "", None);
    let instance = Instance::read(dir.path()).unwrap();
    let (outcome, row, faults) = run(&instance, &Setup::of(Policy::Matching, Prep::Known), &|| 0.0);
    assert!(faults.is_empty(), "{faults:?}");
    output::write(&dir.path().join("out"), &instance, &outcome, &row).unwrap();
    let text = |name: &str| fs::read_to_string(dir.path().join("out").join(name)).unwrap();
    let orders = text("solution_info_orders.txt");
    assert!(orders.starts_with("order placement_time ready_time pickup_time dropoff_time courier\no1 10 25 "));
    assert_eq!(orders.lines().count(), 3);
    assert!(text("solution_info_couriers.txt").contains(" 0 r1\n"));
    assert!(text("solution_info_assignments.txt").starts_with("assignment_time pickup_time courier bundle\n"));
    let summary: serde_json::Value = serde_json::from_str(&text("summary.json")).unwrap();
    for key in [
        "orders",
        "delivered",
        "impossible",
        "ctd_mean",
        "ctd_p90",
        "rtp_mean",
        "rtp_p90",
        "rtd_mean",
        "pctd",
        "floor",
        "share_over_40",
        "orders_per_courier_hour",
        "cost_per_order",
        "cycles",
        "cycle_ms_p99",
    ] {
        assert!(summary[key].is_number(), "{key}: {summary}");
    }
}

#[test]
fn bad_files_are_named_with_their_line() {
    let head = "order\tx\ty\tplacement_time\trestaurant\tready_time\n";
    let with = |row: &str| format!("{head}{row}");
    for (file, text, wanted) in [
        ("couriers.txt", None, "couriers.txt: No such file"),
        ("couriers.txt", Some(String::new()), "couriers.txt:1: is empty"),
        (
            "orders.txt",
            Some("order\tx\n".to_owned()),
            "orders.txt:1: 2 tab-separated columns where these are expected: order, x, y",
        ),
        (
            "orders.txt",
            Some(with("o1\t1\t1\t5\tr1")),
            "orders.txt:2: 5 tab-separated columns",
        ),
        (
            "orders.txt",
            Some(with("o1\t1\t1\t5\tr9\t9")),
            "orders.txt:2: restaurants.txt has no restaurant \"r9\"",
        ),
        (
            "orders.txt",
            Some(with("o1\t1\tNaN\t5\tr1\t9")),
            "orders.txt:2: y: expected a number",
        ),
        (
            "orders.txt",
            Some(with("o1\t1\t1\t-5\tr1\t9")),
            "placement_time: expected a number from 0",
        ),
        (
            "orders.txt",
            Some(with("o1\t1\t1\t5\tr1\t1e300")),
            "ready_time: expected a number",
        ),
        (
            "instance_parameters.txt",
            Some("m\tp\td\tt\tx\to\th\n".to_owned()),
            "instance_parameters.txt:2: has no values",
        ),
        (
            "instance_parameters.txt",
            Some("m\tp\td\tt\tx\to\th\n0\t4\t4\t40\t90\t10\t15".to_owned()),
            "above 0",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), file, text.as_deref());
        let fault = Instance::read(dir.path()).unwrap_err().to_string();
        assert!(fault.contains(wanted), "{fault:?} does not say {wanted:?}");
    }
    // An instance in which nothing happens is none that breaks anything.
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), "orders.txt", Some(head));
    let instance = Instance::read(dir.path()).unwrap();
    assert!(replay(&instance, Policy::Matching, Prep::Estimated).trips.is_empty());
}

/// The published instances are not part of the project; where they lie beside it, one small one is replayed.
#[test]
#[expect(clippy::print_stderr, reason = "says that it was skipped")]
fn a_published_instance_passes_the_strict_check() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/mdrp/0r50t100s1p100");
    if !dir.is_dir() {
        eprintln!("skipped: {} is not there", dir.display());
        return;
    }
    let instance = Instance::read(&dir).unwrap();
    for prep in [Prep::Known, Prep::Estimated] {
        let served: usize = replay(&instance, Policy::Matching, prep)
            .trips
            .iter()
            .map(|trip| trip.stops.len())
            .sum();
        assert!(
            served * 100 >= instance.orders.len() * 98,
            "{served} of {}",
            instance.orders.len()
        );
    }
}
