//! Bounds, resuming, encodings and counts.

use super::*;

#[test]
fn messagepack_says_the_same_as_json() {
    let feed = feed();
    let mut customer = feed.subscribe(CUSTOMER, None);
    feed.publish(vec![committed(1, assigned_to(2), &order())]);
    let Some(Item::Message(message)) = now(&mut customer) else {
        panic!("nothing was told");
    };
    let json: Value = serde_json::from_slice(&message.frame(CUSTOMER, Encoding::Json).unwrap()).unwrap();
    let packed = message.frame(CUSTOMER, Encoding::MessagePack).unwrap();
    assert_eq!(rmp_serde::from_slice::<Value>(&packed).unwrap(), json);
    assert!(message.frame(STRANGERS[0], Encoding::Json).is_none());
    let again = message.frame(CUSTOMER, Encoding::MessagePack).unwrap();
    assert_eq!(again.as_ptr(), packed.as_ptr(), "serialised once");
}

#[test]
fn a_subscriber_who_comes_back_gets_what_was_missed_or_starts_anew() {
    let feed = Feed::new(10, Totals::default());
    feed.publish((11..=20).map(|seq| committed(seq, assigned_to(2), &order())).collect());
    assert_eq!(feed.head_seq(), 20);
    let resume = |who, after| feed.subscribe(who, after);
    let mut back = resume(CUSTOMER, Some(15));
    assert!(back.resumed());
    feed.publish(vec![committed(21, Event::RatingRequested {}, &order())]);
    let seqs: Vec<_> = told(&mut back)
        .iter()
        .map(|frame| frame["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, [16, 17, 18, 19, 20, 21], "no gap and nothing twice");
    assert!(resume(CUSTOMER, Some(10)).resumed() && resume(CUSTOMER, Some(21)).resumed());
    assert!(!resume(CUSTOMER, None).resumed());
    assert!(!resume(CUSTOMER, Some(9)).resumed(), "before our time");
    assert!(!resume(CUSTOMER, Some(22)).resumed(), "from another life");
    assert!(!resume(DRIVER, Some(21)).resumed(), "may have lost the order meanwhile");
    assert_eq!(told(&mut resume(STRANGERS[0], Some(15))), Vec::<Value>::new());
    let many = RESUME_MAX as u64 + 1;
    feed.publish(
        (22..22 + many)
            .map(|seq| committed(seq, assigned_to(2), &order()))
            .collect(),
    );
    assert!(!resume(CUSTOMER, Some(21)).resumed(), "too much");
    assert!(resume(CUSTOMER, Some(22)).resumed());
    feed.publish(
        (22 + many..5_000)
            .map(|seq| committed(seq, offer_ended(3), &order()))
            .collect(),
    );
    assert!(!resume(CUSTOMER, Some(22)).resumed(), "dropped from the ring");
    assert!(resume(CUSTOMER, Some(4_999 - RING_MAX as u64)).resumed());
}

#[test]
fn a_full_queue_is_emptied_and_says_so_once() {
    let feed = feed();
    let mut slow = feed.subscribe(CUSTOMER, None);
    let mut quick = feed.subscribe(CUSTOMER, None);
    let count = QUEUE_MAX as u64;
    feed.publish(
        (1..=count)
            .map(|seq| committed(seq, assigned_to(2), &order()))
            .collect(),
    );
    assert_eq!(told(&mut quick).len(), QUEUE_MAX);
    feed.publish(vec![
        committed(count + 1, assigned_to(2), &order()),
        committed(count + 2, assigned_to(2), &order()),
    ]);
    assert_eq!(names(&told(&mut slow)), ["OVERFLOW"]);
    feed.publish(vec![committed(count + 3, assigned_to(2), &order())]);
    assert_eq!(names(&told(&mut slow)), ["RESTAURANT_ASSIGNED"]);
    assert_eq!(told(&mut quick).len(), 3, "the other reader is not harmed");
}

#[test]
fn positions_reach_the_customer_from_assignment_to_delivery() {
    let feed = feed();
    let mut customer = feed.subscribe(CUSTOMER, None);
    let mut others: Vec<_> = [RESTAURANT, DRIVER, STRANGERS[0]]
        .map(|who| feed.subscribe(who, None))
        .into();
    let fix = |n: f64| Fix {
        place: place().offset_m(n, 0.0),
        at: NOW,
        accuracy_m: None,
    };
    let assigned = || Event::DriverAssigned {
        delivery_id: id(9),
        driver_id: id(3),
    };
    feed.publish(vec![committed(1, assigned(), &driven_by(3))]);
    feed.location(id(9), id(1), &fix(1.0));
    feed.location(id(9), id(1), &fix(2.0));
    let frames = told(&mut customer);
    assert_eq!(
        names(&frames),
        ["DRIVER_ASSIGNED", "DRIVER_LOCATION"],
        "only the newest waits"
    );
    assert_eq!(frames[1]["place"], serde_json::to_value(fix(2.0).place).unwrap());
    let gave_back = Event::DriverCancelled {
        driver_id: id(3),
        attempts: 1,
    };
    feed.publish(vec![committed(2, gave_back, &order())]);
    feed.location(id(9), id(1), &fix(3.0));
    assert_eq!(names(&told(&mut customer)), ["DRIVER_CANCELLED"]);
    feed.publish(vec![committed(3, assigned(), &driven_by(3))]);
    feed.location(id(9), id(1), &fix(4.0));
    let delivered = Event::OrderDelivered {
        driver_fee_minor: 0,
        delivery_id: id(9),
        driver_id: id(3),
        proof: "pin".into(),
        cash_minor: 0,
    };
    feed.publish(vec![committed(4, delivered, &driven_by(3))]);
    feed.location(id(9), id(1), &fix(5.0));
    let want = ["DRIVER_ASSIGNED", "DRIVER_LOCATION", "ORDER_DELIVERED"];
    assert_eq!(names(&told(&mut customer)), want);
    for other in &mut others {
        assert!(!names(&told(other)).contains(&"DRIVER_LOCATION"));
    }
}

#[test]
fn totals_follow_the_events() {
    let feed = feed();
    let created = Event::OrderCreated {
        deliver_at: None,
        promo_code: None,
        map_version: 0,
        phone_hash: None,
        customer_id: id(1),
        restaurant_id: id(2),
        lines: Vec::new(),
        price: order().price,
        method: PaymentMethod::Card,
        cell: place().cell(tomato_shared::cell::EVENT_RESOLUTION),
    };
    let ready = Order {
        state: OrderState::ReadyForPickup,
        ..order()
    };
    feed.publish(vec![
        committed(1, created.clone(), &order()),
        committed(2, created, &ready),
    ]);
    let counts = feed.totals();
    assert_eq!((counts.placed, counts.active, counts.waiting_for_driver), (2, 2, 1));
    let failed = Event::DeliveryFailed {
        driver_fee_minor: 0,
        driver_id: id(3),
        reason: String::new(),
    };
    let cancelled = Event::OrderCancelled {
        fee_minor: 0,
        reason: CancelReason::DeliveryFailed,
    };
    let refunded = |voided| Event::PaymentRefunded {
        refund_id: None,
        payment_id: id(8),
        amount_minor: 500,
        voided,
    };
    let delivered = Event::OrderDelivered {
        driver_fee_minor: 0,
        delivery_id: id(9),
        driver_id: id(3),
        proof: "pin".into(),
        cash_minor: 0,
    };
    let events = [failed, cancelled, refunded(false), refunded(true), delivered];
    feed.publish(
        (3..)
            .zip(events)
            .map(|(seq, event)| committed(seq, event, &driven_by(3)))
            .collect(),
    );
    let want = Counts {
        placed: 2,
        delivered: 1,
        cancelled: 1,
        payment_failed: 0,
        active: 0,
        waiting_for_driver: 0,
        revenue_minor: 500,
        refunded_minor: 500,
    };
    assert_eq!(feed.totals(), want);
}

#[test]
fn a_dropped_subscription_leaves_nothing_behind() {
    let feed = feed();
    let subscriptions = [CUSTOMER, CUSTOMER, OPERATOR].map(|who| feed.subscribe(who, None));
    assert_eq!(feed.subscribers(), 3);
    drop(subscriptions);
    assert_eq!(feed.subscribers(), 0);
    assert!(lock(&feed.state).topics.is_empty());
}
