use super::*;

/// A small day made up for this test.
fn write_instance(folder: &Path, orders: &str) {
    let put = |file: &str, text: &str| std::fs::write(folder.join(file), text).unwrap();
    put(
        "orders.txt",
        &format!("order\tx\ty\tplacement_time\trestaurant\tready_time\n{orders}"),
    );
    put(
        "couriers.txt",
        "courier\tx\ty\ton_time\toff_time\nc1\t0\t0\t0\t90\nc2\t9000\t8000\t30\t120\n",
    );
    put("restaurants.txt", "restaurant\tx\ty\nr1\t1000\t1000\n");
    put(
        "instance_parameters.txt",
        "meters_per_minute\tpickup service minutes\tdropoff service minutes\ttarget click-to-door\tmaximum click-to-door\tpay per order\tguaranteed pay per hour\n320\t4\t4\t40\t90\t10\t15",
    );
}

#[test]
fn a_day_is_read_and_its_floor_known() {
    let folder = tempfile::tempdir().unwrap();
    write_instance(folder.path(), "o2\t1000\t4200\t20\tr1\t35\no1\t1000\t1000\t10\tr1\t25");
    let day = Instance::read(folder.path()).unwrap();
    assert_eq!((day.orders.len(), day.couriers.len(), day.restaurants.len()), (2, 2, 1));
    assert_eq!((day.metres_per_min, day.pickup_min, day.dropoff_min), (320.0, 4, 4));
    assert_eq!(day.span_min(), (0, 120));
    let names: Vec<_> = day.by_placement().iter().map(|order| order.name.as_str()).collect();
    assert_eq!(names, ["o1", "o2"]);
    // 15 minutes of cooking, 2 + 2 of service, 3,200 m at 320 m a minute.
    assert_eq!(day.floor_min(&day.orders[0]), 29);
    assert_eq!(day.floor_min(&day.orders[1]), 19);
}

#[test]
fn faults_name_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    write_instance(folder.path(), "o1\t1000\t1000\tsoon\tr1\t25\n");
    let fault = Instance::read(folder.path()).unwrap_err();
    assert!(
        fault.contains("orders.txt, line 2") && fault.contains("soon"),
        "{fault}"
    );
    write_instance(folder.path(), "o1\t1000\t1000\t10\tr7\t25\n");
    assert!(Instance::read(folder.path()).unwrap_err().contains("r7"));
    assert!(
        Instance::read(Path::new("/no/such/folder"))
            .unwrap_err()
            .contains("orders.txt")
    );
}

#[test]
fn everything_lies_within_the_rings_and_distances_stay() {
    let folder = tempfile::tempdir().unwrap();
    write_instance(folder.path(), "o1\t12000\t100\t10\tr1\t25\n");
    let day = Instance::read(folder.path()).unwrap();
    let centre = LatLng::new(12.9716, 77.5946).unwrap();
    let projection = Projection::around(centre, &day);
    assert_eq!(projection.extent_m, (12_000.0, 8_000.0));
    assert!((2..=5).contains(&projection.rings), "{}", projection.rings);
    let cells = CellSet::disk(centre, projection.rings);
    let places = [day.orders[0].at, day.couriers[0].at, day.couriers[1].at].map(|at| projection.place(at));
    assert!(places.iter().all(|place| cells.contains(place)));
    let travel = super::super::motion::Travel {
        origin: centre,
        speed_m_per_min: 320.0,
        whole_minutes: true,
    };
    assert!((travel.distance_m(places[1], places[2]) - 9_000f64.hypot(8_000.0)).abs() < 0.01);
}

#[test]
fn spreads_are_by_rank() {
    let spread = Spread::of((1..=10).map(f64::from).collect()).unwrap();
    assert_eq!((spread.mean, spread.p50, spread.p90), (5.5, 5.0, 9.0));
    assert_eq!(Spread::of(vec![]), None);
}
