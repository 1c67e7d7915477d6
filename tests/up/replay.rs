//! `--replay DIR`: a recorded day in one region.

use std::path::Path;

use tomato_tests::city::habits::Habits;
use tomato_tests::city::mdrp::{Instance, Projection, Spread, tally};
use tomato_tests::city::replay::{Replay, Report, world};
use tomato_tests::settings::RegionFile;

use crate::run::{Run, Verdict};
use crate::status::say;
use crate::tokens;

/// The published policies look for drivers anywhere in the city.
const RADIUS_M: i64 = 50_000;

/// An instance, laid around Bengaluru.
pub(crate) struct Day {
    instance: Instance,
    projection: Projection,
}

impl Day {
    /// Reads an instance; the error names file and line.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let instance = Instance::read(folder)?;
        let projection = Projection::around(RegionFile::named("blr").ground().centre, &instance);
        let (width, height) = projection.extent_m;
        let (first, last) = instance.span_min();
        say(&format!(
            "{}: {} orders, {} restaurants, {} driver shifts, minutes {first} to {last}; {:.1} km x {:.1} km around the \
             centre of blr, which needs {} rings of cells\n",
            instance.name,
            instance.orders.len(),
            instance.restaurants.len(),
            instance.couriers.len(),
            width / 1_000.0,
            height / 1_000.0,
            projection.rings
        ));
        Ok(Self { instance, projection })
    }

    /// Bengaluru with cells enough, and drivers who are found wherever they are.
    pub(crate) fn region_file(&self) -> RegionFile {
        let speed = self.instance.metres_per_min.round() as i64;
        RegionFile::named("blr")
            .set("region.rings", i64::from(self.projection.rings))
            .set("dispatch.radius_m", RADIUS_M)
            .set("dispatch.speed_m_per_min", speed)
    }
}

impl Run {
    /// Replays the day, then compares as every run does.
    pub(crate) async fn replay(&mut self, day: Day) -> Result<Verdict, String> {
        let Day { instance, projection } = day;
        let node = &self.stack.nodes[0];
        let ground = (node.region.clone(), node.ground.centre);
        let world = world(self.args.seed, &instance, &projection, ground);
        world
            .write(&node.api)
            .await
            .map_err(|error| format!("{}: {error}", node.region))?;
        let habits = Habits {
            speed_m_per_min: instance.metres_per_min,
            ..Habits::flawless()
        };
        let city = self
            .stack
            .city_of(node, world, (self.args.seed, habits, true), &self.tracker);
        tokens::write(&self.stack, std::slice::from_ref(&city))?;
        let (operator, name) = (node.api.clone(), instance.name.clone());
        let replay = Replay::new(city, instance, projection);
        let mut report = None;
        let day = async { report = Some(replay.run(&operator).await) };
        self.watch_until(day).await?;
        let report = report.ok_or("the day did not end")?;
        let file = self.results(&format!("tomato-replay-{name}.csv"));
        std::fs::write(&file, report.csv()).map_err(|error| format!("{}: {error}", file.display()))?;
        say(&summary(&report));
        say(&format!("each order: {}\n", file.display()));
        if !self.args.once {
            self.watch_until(std::future::pending()).await?;
        }
        let verdict = self.conclude().await?;
        Ok(if report.is_complete() { verdict } else { Verdict::Wrong })
    }
}

fn summary(report: &Report) -> String {
    let spread = |name: &str, spread: Option<Spread>| match spread {
        Some(Spread { mean, p50, p90 }) => {
            format!("  {name:<44} mean {mean:>6.2}  median {p50:>6.2}  p90 {p90:>6.2}\n")
        }
        None => String::new(),
    };
    let states = tally(report.lines.iter().map(|line| line.state.to_owned()));
    let states: Vec<String> = states
        .into_iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let mut text = format!(
        "\n{}: {} orders: {}\n",
        report.instance,
        report.lines.len(),
        states.join(", ")
    );
    text += "minutes from click to door:\n";
    text += &spread("delivered orders", report.delivered());
    text += &spread("all, those not delivered counted as 90", report.penalised());
    text += &spread("least possible", report.floor());
    let explained = report
        .lines
        .iter()
        .map(|line| line.explanation.clone())
        .filter(|text| !text.is_empty());
    for (explanation, count) in tally(explained) {
        text += &format!("not delivered: {count}, {explanation}\n");
    }
    text
}
