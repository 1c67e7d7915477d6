//! Drivers between regions: hand-over, loan, and random walks over a network that loses, doubles and mixes up.

use std::collections::BTreeMap;

use tomato_shared::cell::RegionId;
use tomato_shared::event::books::Account;
use tomato_shared::event::{Crossing, Event};
use tomato_shared::id::{DriverId, OrderId};
use tomato_shared::order::DeliveryState;
use tomato_shared::rejection::Rejection;
use tomato_shared::time::DurationMs;

use super::walk::rng::Rng;
use super::world::{OPERATOR, World, complete, driver, opening, policy, put, put_restaurant, sign};
use crate::engine::command::{Command, DriverCommand, Intent, OrderCommand, Round};
use crate::engine::custody::{Arrival, Step};
use crate::engine::model::{By, Standing};
use crate::engine::snapshot::Snapshot;

const NAMES: [&str; 3] = ["blr", "hyd", "maa"];

fn region(n: usize) -> RegionId {
    NAMES[n].parse().unwrap()
}

/// Regions, of which the first has five drivers, signed on.
fn worlds() -> Vec<World> {
    let mut worlds: Vec<World> = (0..NAMES.len())
        .map(|n| {
            let mut policy = policy();
            policy.region = region(n);
            let mut world = World::empty(policy);
            world.ok(OPERATOR, put(put_restaurant(1)));
            world
        })
        .collect();
    for command in opening().into_iter().skip(3) {
        worlds[0].ok(OPERATOR, command);
    }
    worlds
}

fn hand_over(n: u8, to: usize, loan: Option<OrderId>) -> Command {
    Command::Driver(driver(n), DriverCommand::Cross(Step::HandOver { to: region(to), loan }))
}

fn handed_over(n: u8, epoch: u64) -> Command {
    Command::Driver(driver(n), DriverCommand::Cross(Step::HandedOver(epoch)))
}

/// What a region tells of a driver who leaves it.
fn leaving(world: &World, id: DriverId) -> Option<(RegionId, Arrival)> {
    Arrival::of(world.city.driver(id)?, &world.policy.region, None)
}

fn take(arrival: &Arrival, n: u8) -> Command {
    Command::Driver(
        driver(n),
        DriverCommand::Cross(Step::TakeOver(Box::new(arrival.clone()))),
    )
}

#[test]
fn an_idle_driver_goes_over_once_and_the_giver_has_no_say_any_more() {
    let mut worlds = worlds();
    let gone = ["driver.status.changed", "driver.handed_over"];
    worlds[0].check(By::System, hand_over(1, 1, None), Ok(&gone));
    let (to, arrival) = leaving(&worlds[0], driver(1)).unwrap();
    assert_eq!((to, arrival.epoch, arrival.online), (region(1), 2, true));
    let elsewhere = Err(Rejection::DriverElsewhere);
    worlds[0].check(By::Driver(driver(1)), sign(driver(1), true), elsewhere);
    worlds[0].check(OPERATOR, sign(driver(1), true), elsewhere);
    worlds[0].check(By::System, hand_over(1, 2, None), elsewhere);
    let order = worlds[0].ready();
    let by_hand = Command::Order(order, OrderCommand::Assign(driver(1)));
    worlds[0].check(OPERATOR, by_hand, Err(Rejection::DriverOffline));
    let come = ["driver.taken_over", "driver.status.changed"];
    worlds[1].check(By::System, take(&arrival, 1), Ok(&come));
    worlds[1].check(By::System, take(&arrival, 1), Ok(&[]));
    let row = worlds[1].city.driver(driver(1)).unwrap();
    assert!(row.is_free() && row.is_ours() && row.custody.epoch == 2 && row.name == "Driver 1");
    worlds[0].check(By::System, handed_over(1, 1), Ok(&[]));
    assert!(
        leaving(&worlds[0], driver(1)).is_some(),
        "an answer about another epoch says nothing"
    );
    worlds[0].check(By::System, handed_over(1, 2), Ok(&[]));
    let row = worlds[0].city.driver(driver(1)).unwrap();
    assert_eq!(row.custody.standing, Standing::Theirs { region: region(1) });
    // Back again, and what the first journey said comes late.
    worlds[1].ok(By::System, hand_over(1, 0, None));
    let (_, back) = leaving(&worlds[1], driver(1)).unwrap();
    worlds[0].check(By::System, take(&back, 1), Ok(&come));
    worlds[1].check(By::System, take(&arrival, 1), Ok(&[]));
    assert!(!worlds[1].city.driver(driver(1)).unwrap().is_ours());
}

#[test]
fn a_shift_that_ends_on_the_way_is_over_where_the_driver_arrives() {
    let mut worlds = worlds();
    let shift = super::shifts::until(&worlds[0], 30);
    worlds[0].ok(By::Driver(driver(1)), shift);
    worlds[0].ok(By::System, hand_over(1, 1, None));
    let (_, arrival) = leaving(&worlds[0], driver(1)).unwrap();
    worlds[1].pass(DurationMs::from_mins(31));
    let come = ["driver.taken_over", "driver.status.changed", "driver.status.changed"];
    worlds[1].check(By::System, take(&arrival, 1), Ok(&come));
    let row = worlds[1].city.driver(driver(1)).unwrap();
    assert!(row.is_ours() && !row.online && row.shift.is_none());
    assert!(worlds[1].disk.timers.is_empty());
}

#[test]
fn only_the_region_itself_hands_over_and_nobody_who_is_busy() {
    let mut worlds = worlds();
    worlds[0].check(OPERATOR, hand_over(1, 1, None), Err(Rejection::Forbidden));
    worlds[0].check(By::Driver(driver(1)), hand_over(1, 1, None), Err(Rejection::Forbidden));
    worlds[0].check(By::System, sign(driver(1), true), Err(Rejection::Forbidden));
    worlds[0].check(By::System, hand_over(1, 0, None), Err(Rejection::DriverElsewhere));
    worlds[0].assigned(2);
    worlds[0].offered(3);
    worlds[0].check(By::System, hand_over(2, 1, None), Err(Rejection::DriverBusy));
    worlds[0].check(By::System, hand_over(3, 1, None), Err(Rejection::DriverBusy));
    worlds[0].ok(OPERATOR, sign(driver(4), false));
    worlds[0].check(By::System, hand_over(4, 1, None), Err(Rejection::DriverOffline));
}

/// A driver of the first region, borrowed by the second for an order that is ready there.
fn borrowed() -> (Vec<World>, OrderId) {
    let mut worlds = worlds();
    let order = worlds[1].ready();
    worlds[0].ok(By::System, hand_over(1, 1, Some(order)));
    let (_, arrival) = leaving(&worlds[0], driver(1)).unwrap();
    let asked = ["driver.taken_over", "driver.status.changed", "driver.offered"];
    worlds[1].check(By::System, take(&arrival, 1), Ok(&asked));
    worlds[0].ok(By::System, handed_over(1, 2));
    (worlds, order)
}

fn is_home(worlds: &mut [World], online: bool) {
    let (to, back) = leaving(&worlds[1], driver(1)).expect("on the way home");
    assert_eq!((to, back.epoch, back.online), (region(0), 3, online));
    worlds[0].ok(By::System, take(&back, 1));
    let row = worlds[0].city.driver(driver(1)).unwrap();
    assert!(row.is_ours() && row.borrowed().is_none() && row.online == online);
}

#[test]
fn a_borrowed_driver_delivers_is_paid_there_and_goes_home() {
    let (mut worlds, order) = borrowed();
    let (rider, offer) = (By::Driver(driver(1)), worlds[1].offer(order));
    let there = &mut worlds[1];
    there.ok(rider, Command::AcceptOffer(offer));
    there.ok(rider, Command::Order(order, OrderCommand::PickUp));
    assert!(there.city.driver(driver(1)).unwrap().is_ours());
    there.ok(rider, complete(order));
    assert!(
        there
            .last
            .events
            .iter()
            .any(|new| matches!(new.event, Event::DriverHandedOver(Crossing { loan: false, .. })))
    );
    assert!(
        there.balances(order)[&Account::DriverPayable { driver_id: driver(1) }] < 0,
        "owed where it was earned"
    );
    is_home(&mut worlds, true);
}

#[test]
fn a_plan_gives_a_borrowed_driver_no_other_order() {
    let (mut worlds, order) = borrowed();
    let there = &mut worlds[1];
    let other = there.ready();
    for step in [Some(Command::AcceptOffer(there.offer(order))), None] {
        if let Some(step) = step {
            there.ok(By::Driver(driver(1)), step);
        }
        assert!(Snapshot::of(&there.city).drivers.iter().all(|row| row.id != driver(1)));
        let driver_version = there.city.driver(driver(1)).unwrap().version;
        for changed in [false, true] {
            let ids = if changed { vec![order, other] } else { vec![other] };
            let intent = Intent {
                driver_id: driver(1),
                driver_version,
                order_ids: ids,
                changed,
                distance_m: 5,
            };
            let round = Round {
                intents: vec![intent],
                left: Vec::new(),
            };
            there.check(By::System, Command::Round(round), Ok(&[]));
        }
        assert_eq!(there.order(other).delivery.state, DeliveryState::Searching);
    }
}

#[test]
fn a_borrowed_driver_who_declines_or_is_silent_goes_home() {
    let (mut worlds, order) = borrowed();
    let offer = worlds[1].offer(order);
    worlds[1].ok(By::Driver(driver(1)), Command::DeclineOffer(offer));
    assert_eq!(worlds[1].order(order).delivery.state, DeliveryState::Searching);
    is_home(&mut worlds, true);
    let (mut worlds, _) = borrowed();
    worlds[1].pass(DurationMs::from_secs(31));
    is_home(&mut worlds, true);
    let (mut worlds, order) = borrowed();
    worlds[1].ok(By::Driver(driver(1)), sign(driver(1), false));
    assert_eq!(worlds[1].order(order).delivery.state, DeliveryState::Searching);
    is_home(&mut worlds, false);
}

#[test]
fn a_driver_who_was_lent_for_an_order_that_is_gone_goes_home_by_the_same_decision() {
    let mut worlds = worlds();
    let order = worlds[1].ready();
    worlds[0].ok(By::System, hand_over(1, 1, Some(order)));
    let (_, arrival) = leaving(&worlds[0], driver(1)).unwrap();
    worlds[1].ok(OPERATOR, Command::Order(order, OrderCommand::Cancel));
    worlds[1].ok(By::System, take(&arrival, 1));
    // The taker's word was lost, and the driver is back before it is repeated.
    is_home(&mut worlds, true);
    worlds[0].check(By::System, handed_over(1, 2), Ok(&[]));
    assert!(worlds[0].city.driver(driver(1)).unwrap().is_ours());
}

/// What is under way between two regions.
#[derive(Debug, Clone)]
enum Message {
    Give(usize, u8, Arrival),
    Taken(usize, u8, u64),
}

/// Regions, what is under way between them, and everything that happened, in order.
struct Net {
    worlds: Vec<World>,
    under_way: Vec<Message>,
    log: Vec<(usize, Event)>,
    /// Events of each region that are in the log.
    logged: [usize; 3],
    loans: u32,
}

impl Net {
    fn run(&mut self, n: usize, by: By, command: &Command) -> bool {
        let done = self.worlds[n].run(by, command).is_ok();
        self.check();
        done
    }

    fn tell_all(&mut self) {
        for (n, world) in self.worlds.iter().enumerate() {
            for who in 1..=5 {
                if let Some((to, arrival)) = leaving(world, driver(who)) {
                    let to = (0..NAMES.len()).find(|n| region(*n) == to).unwrap();
                    assert_ne!(to, n);
                    self.under_way.push(Message::Give(to, who, arrival));
                }
            }
        }
    }

    fn arrives(&mut self, message: &Message) {
        match message {
            Message::Give(to, who, arrival) => {
                if self.run(*to, By::System, &take(arrival, *who)) {
                    let from = (0..NAMES.len()).find(|n| region(*n) == arrival.from).unwrap();
                    self.under_way.push(Message::Taken(from, *who, arrival.epoch));
                }
            }
            Message::Taken(to, who, epoch) => {
                self.run(*to, By::System, &handed_over(*who, *epoch));
            }
        }
    }

    /// At most one region has a driver, and nobody works for a region that has not.
    fn check(&mut self) {
        for (n, world) in self.worlds.iter().enumerate() {
            let new = world.disk.events[self.logged[n]..].iter();
            self.log.extend(new.map(|new| (n, new.event.clone())));
            self.logged[n] = world.disk.events.len();
        }
        for who in 1..=5 {
            let rows: Vec<_> = self
                .worlds
                .iter()
                .filter_map(|world| world.city.driver(driver(who)))
                .collect();
            let owners = rows.iter().filter(|row| row.is_ours()).count();
            assert!(owners <= 1, "driver {who} has {owners} owners");
            let newest = rows.iter().map(|row| row.custody.epoch).max();
            for row in rows {
                assert!(row.is_ours() || !row.online && row.offered.is_empty() && row.delivering.is_empty());
                assert!(
                    !row.is_ours() || Some(row.custody.epoch) == newest,
                    "the owner has the newest epoch"
                );
            }
        }
    }

    /// One line of owners for each driver in everything that happened: given away, then taken, in the same epoch.
    fn check_log(&self) {
        let mut lines: BTreeMap<DriverId, (u64, Option<usize>)> = BTreeMap::new();
        for (n, event) in &self.log {
            if let Event::DriverHandedOver(Crossing { driver_id, epoch, .. }) = event {
                let line = lines.entry(*driver_id).or_insert((1, Some(0)));
                assert_eq!((line.0 + 1, line.1), (*epoch, Some(*n)), "given by its owner");
                *line = (*epoch, None);
            } else if let Event::DriverTakenOver(Crossing { driver_id, epoch, .. }) = event {
                let line = lines.get_mut(driver_id).expect("given before it was taken");
                assert_eq!(*line, (*epoch, None), "taken while nobody had it");
                line.1 = Some(*n);
            }
        }
    }
}

fn walk(seed: u64) -> (u32, u32) {
    let mut rng = Rng::new(seed);
    let mut net = Net {
        worlds: worlds(),
        under_way: Vec::new(),
        log: Vec::new(),
        logged: [0; 3],
        loans: 0,
    };
    for _ in 0..600 {
        let (n, other, who) = (rng.below(3) as usize, rng.below(3) as usize, rng.small(5));
        match rng.below(20) {
            0..=1 => drop(net.run(n, By::System, &hand_over(who, other, None))),
            2..=4 => {
                let waiting: Vec<_> = net.worlds[other].city.waiting().collect();
                if let Some(order) = rng.recent(&waiting) {
                    net.loans += u32::from(net.run(n, By::System, &hand_over(who, other, Some(order))));
                }
            }
            5..=9 if !net.under_way.is_empty() => {
                let at = rng.below(u32::try_from(net.under_way.len()).unwrap()) as usize;
                let message = net.under_way[at].clone();
                // Now and then it is lost, and now and then it comes again.
                match rng.below(5) {
                    0 => drop(net.under_way.swap_remove(at)),
                    1 => net.arrives(&message),
                    _ => {
                        net.under_way.swap_remove(at);
                        net.arrives(&message);
                    }
                }
            }
            10..=12 => net.tell_all(),
            13 => net.under_way.clear(),
            14 => drop(net.run(n, By::Driver(driver(who)), &sign(driver(who), rng.below(3) > 0))),
            15 if net.worlds[n].stock(1, super::world::BURGER).1 < 8 => drop(net.worlds[n].ready()),
            16 => net.worlds[n].pass(DurationMs(rng.span_ms())),
            _ => work(&mut net, &mut rng, n, who),
        }
        net.check();
    }
    // The links hold: everybody is somewhere soon.
    for _ in 0..4 {
        net.tell_all();
        while let Some(message) = net.under_way.pop() {
            net.arrives(&message);
        }
    }
    net.check_log();
    for who in 1..=5 {
        let ours = |world: &&World| world.city.driver(driver(who)).is_some_and(|row| row.is_ours());
        assert_eq!(net.worlds.iter().filter(ours).count(), 1, "driver {who}, seed {seed}");
        assert!(net.worlds.iter().all(|world| leaving(world, driver(who)).is_none()));
    }
    let moves = net
        .log
        .iter()
        .filter(|(_, event)| matches!(event, Event::DriverTakenOver(_)))
        .count();
    (u32::try_from(moves).unwrap(), net.loans)
}

/// A driver does what they are asked, or does not.
fn work(net: &mut Net, rng: &mut Rng, n: usize, who: u8) {
    let Some(row) = net.worlds[n].city.driver(driver(who)).filter(|row| row.is_ours()) else {
        return;
    };
    let rider = By::Driver(driver(who));
    let command = match (row.offered.first().copied(), row.delivering.first().copied()) {
        (Some(order), _) => {
            let offer = net.worlds[n].offer(order);
            let takes = rng.below(3) > 0;
            if takes {
                Command::AcceptOffer(offer)
            } else {
                Command::DeclineOffer(offer)
            }
        }
        (None, Some(order)) if net.worlds[n].order(order).delivery.state == DeliveryState::Assigned => {
            Command::Order(order, OrderCommand::PickUp)
        }
        (None, Some(order)) => complete(order),
        (None, None) => return net.worlds[n].dispatch(&[who]),
    };
    net.run(n, rider, &command);
}

#[test]
fn random_walks_never_have_two_owners_and_end_with_one() {
    let (mut moves, mut loans) = (0, 0);
    for seed in 0..200 {
        let (moved, lent) = walk(seed);
        moves += moved;
        loans += lent;
    }
    // What never happens proves nothing.
    assert!(moves > 2_000 && loans > 500, "{moves} {loans}");
}
