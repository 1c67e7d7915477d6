use super::*;

const NOW: UnixMs = UnixMs(1_763_886_600_000);

fn centre() -> LatLng {
    LatLng::new(12.9716, 77.5946).unwrap()
}

fn driver(n: u32) -> DriverId {
    let mut bytes = [0; 16];
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    DriverId::from_bytes(bytes)
}

fn fix(east_m: f64, at: UnixMs) -> Fix {
    Fix {
        place: centre().offset_m(east_m, 0.0),
        at,
        accuracy_m: None,
    }
}

fn fleet() -> Fleet {
    Fleet::new(DurationMs::from_mins(2))
}

/// A small generator of its own, so that a failure repeats.
struct Lcg(u64);

impl Lcg {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        f64::from(u32::try_from(self.0 >> 40).unwrap()) / f64::from(1_u32 << 24)
    }
}

#[test]
fn near_agrees_with_looking_at_everybody() {
    // Cities on all sorts of cells: dense, sparse, high north, near a pentagon, across the date line.
    let places = [
        (12.97, 77.59),
        (69.65, 18.96),
        (-33.9, 151.2),
        (64.7, 10.5),
        (0.0, 179.995),
    ];
    let mut lcg = Lcg(7);
    for (at, (lat, lng)) in places.into_iter().enumerate() {
        let home = LatLng::new(lat, lng).unwrap();
        for count in [3_u32, 400, 3_000] {
            let fleet = fleet();
            let mut all = Vec::new();
            for n in 0..count {
                let place = home.offset_m((lcg.unit() - 0.5) * 16_000.0, (lcg.unit() - 0.5) * 16_000.0);
                fleet.set_duty(driver(n), Some(Duty::Free));
                fleet.report(
                    driver(n),
                    &[Fix {
                        place,
                        at: NOW,
                        accuracy_m: None,
                    }],
                    NOW,
                );
                all.push((home.distance_m(&place), driver(n)));
            }
            all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            for (radius_m, limit) in [(300.0, 5), (3_000.0, 10), (3_000.0, 10_000), (60_000.0, 3)] {
                let want: Vec<_> = all
                    .iter()
                    .filter(|near| near.0 <= radius_m)
                    .take(limit)
                    .map(|near| near.1)
                    .collect();
                let got: Vec<_> = fleet
                    .near(
                        &Near {
                            place: home,
                            radius_m,
                            limit,
                        },
                        NOW,
                        |_| true,
                    )
                    .iter()
                    .map(|near| near.driver_id)
                    .collect();
                assert_eq!(got, want, "place {at}, {count} drivers, {radius_m} m, {limit}");
            }
        }
    }
}

#[test]
fn only_free_drivers_with_a_fresh_position_are_near() {
    let fleet = fleet();
    let near = |at| {
        fleet
            .near(
                &Near {
                    place: centre(),
                    radius_m: 3_000.0,
                    limit: 10,
                },
                at,
                |_| true,
            )
            .len()
    };
    fleet.report(driver(1), &[fix(0.0, NOW)], NOW);
    assert_eq!(
        (fleet.online(), fleet.position(driver(1))),
        (0, None),
        "signed off, so not kept"
    );
    fleet.set_duty(driver(1), Some(Duty::Free));
    assert_eq!(near(NOW), 0, "no position yet");
    assert_eq!(fleet.report(driver(1), &[fix(0.0, NOW)], NOW).accepted, 1);
    assert_eq!(near(NOW + DurationMs::from_mins(2)), 1);
    assert_eq!(near(NOW + DurationMs(120_001)), 0, "stale");
    fleet.set_duty(driver(1), Some(Duty::Busy));
    assert_eq!(near(NOW), 0, "asked already");
    fleet.set_duty(driver(1), Some(Duty::Free));
    assert_eq!(near(NOW), 1, "position kept over a change of duty");
    fleet.set_duty(driver(1), None);
    assert_eq!((near(NOW), fleet.online(), fleet.position(driver(1))), (0, 0, None));
}

#[test]
fn implausible_positions_are_passed_over() {
    let at = |secs| NOW + DurationMs::from_secs(secs);
    let check = |case: &str, fixes: &[Fix], want: usize| {
        let fleet = fleet();
        fleet.set_duty(driver(1), Some(Duty::Free));
        fleet.report(driver(1), &[fix(0.0, NOW)], NOW);
        let got = fleet.report(driver(1), fixes, at(30));
        assert_eq!(got.accepted, want, "{case}");
        assert_eq!(got.latest.is_some(), want > 0, "{case}");
    };
    check(
        "a walk",
        &[fix(100.0, at(10)), fix(200.0, at(20)), fix(300.0, at(30))],
        3,
    );
    check("the same time again", &[fix(1.0, NOW)], 0);
    check("out of order", &[fix(100.0, at(20)), fix(50.0, at(10))], 1);
    check("a minute ahead", &[fix(100.0, at(90))], 1);
    check("further ahead", &[fix(100.0, at(91))], 0);
    check("2 km in 30 s", &[fix(2_000.0, at(30))], 0);
    check("1.2 km in 30 s is 144 km/h", &[fix(1_200.0, at(30))], 1);
    check("900 m in 1 s is noise", &[fix(900.0, at(1))], 1);
    check(
        "a bad receiver",
        &[Fix {
            accuracy_m: Some(500.0),
            ..fix(10.0, at(5))
        }],
        0,
    );
    check(
        "not a radius",
        &[Fix {
            accuracy_m: Some(f32::NAN),
            ..fix(10.0, at(5))
        }],
        0,
    );
}

#[test]
fn a_wrong_first_position_does_not_lock_a_driver_out() {
    let fleet = fleet();
    fleet.set_duty(driver(1), Some(Duty::Free));
    fleet.report(driver(1), &[fix(100_000.0, NOW)], NOW);
    let later = NOW + DurationMs(120_001);
    assert_eq!(fleet.report(driver(1), &[fix(0.0, later)], later).accepted, 1);
}

#[test]
fn a_clock_ahead_gains_nothing() {
    let fleet = fleet();
    fleet.set_duty(driver(1), Some(Duty::Free));
    fleet.report(driver(1), &[fix(0.0, NOW + DurationMs::from_secs(59))], NOW);
    assert_eq!(fleet.position(driver(1)).unwrap().at, NOW);
    assert_eq!(
        fleet
            .report(
                driver(1),
                &[fix(5.0, NOW + DurationMs::from_secs(1))],
                NOW + DurationMs(900)
            )
            .accepted,
        1
    );
}

#[test]
fn a_free_driver_appears_once_and_again_after_silence() {
    let fleet = fleet();
    let appears = |at: UnixMs| fleet.report(driver(1), &[fix(0.0, at)], at).appeared;
    assert!(!appears(NOW), "not signed on");
    fleet.set_duty(driver(1), Some(Duty::Free));
    assert!(appears(NOW + DurationMs(1)));
    assert!(!appears(NOW + DurationMs(2)), "already on the map");
    assert!(
        appears(NOW + DurationMs::from_mins(5)),
        "the last position was too old to be found by"
    );
    fleet.set_duty(driver(1), Some(Duty::Busy));
    assert!(!appears(NOW + DurationMs::from_mins(30)), "not free");
}

#[test]
fn a_look_shows_the_same_few_and_nobody_who_is_gone() {
    let fleet = fleet();
    for n in 0..10 {
        fleet.set_duty(driver(n), Some(Duty::Free));
        fleet.report(driver(n), &[fix(f64::from(n) * 100.0, NOW)], NOW);
    }
    let orders = [7, 9].map(|n| OrderId::from_bytes([n; 16]));
    let whose = orders.map(|order_id| (order_id, UserId::from_bytes([8; 16])));
    fleet.set_duty(driver(1), Some(Duty::Delivering(whose.into())));
    fleet.set_duty(driver(0), None);
    fleet.set_duty(driver(20), Some(Duty::Free));
    let (known, shown) = fleet.positions(NOW, 3);
    assert_eq!(known, 9, "signed off, or without a position: not shown");
    let ids: Vec<_> = shown.iter().map(|one| one.driver_id).collect();
    assert_eq!(ids, [driver(1), driver(2), driver(3)]);
    assert_eq!(shown[0].order_ids, orders);
    assert_eq!(shown[1].order_ids, []);
    assert!((shown[1].lat - centre().lat()).abs() < 0.0001);
    assert_eq!(fleet.positions(NOW + DurationMs::from_mins(3), 3), (0, vec![]));
}
