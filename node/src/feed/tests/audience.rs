//! Who hears what.

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table: one row per case")]
fn everybody_hears_what_concerns_them_and_strangers_nothing() {
    let preparing = || Event::OrderPreparing {
        restaurant_id: id(2),
        ready_at: NOW,
    };
    let offer = Event::DriverOffered {
        offer_id: id(7),
        driver_id: id(3),
        distance_m: 100,
        expires_at: NOW,
    };
    let assigned = Event::DriverAssigned {
        delivery_id: id(9),
        driver_id: id(3),
    };
    let gave_back = Event::DriverCancelled {
        driver_id: id(3),
        attempts: 1,
    };
    let cancelled = || Event::OrderCancelled {
        fee_minor: 0,
        reason: CancelReason::Operator,
    };
    let unpaid = Order {
        confirmed_at: None,
        ..order()
    };
    let failed = Event::DeliveryFailed {
        driver_fee_minor: 0,
        driver_id: id(3),
        reason: "customer_absent".into(),
    };
    let declined = |restaurant| Event::RestaurantDeclined {
        why: None,
        restaurant_id: id(restaurant),
        reason: DeclineReason::Rejected,
    };
    let refunded = Event::PaymentRefunded {
        refund_id: None,
        payment_id: id(8),
        amount_minor: 500,
        voided: false,
    };
    // Event, order after it, then what customer, restaurant 2, driver 3 and operators hear.
    type Row<'a> = (Event, Order, [&'a str; 4]);
    let table: Vec<Row<'_>> = vec![
        (cancelled(), unpaid, ["ORDER_CANCELLED", "", "", "ORDER_CANCELLED"]),
        (
            assigned_to(2),
            order(),
            ["RESTAURANT_ASSIGNED", "NEW_ORDER", "", "RESTAURANT_ASSIGNED"],
        ),
        (
            preparing(),
            order(),
            ["ORDER_PREPARING", "ORDER_PREPARING", "", "ORDER_PREPARING"],
        ),
        (
            preparing(),
            driven_by(3),
            ["ORDER_PREPARING", "ORDER_PREPARING", "", "ORDER_PREPARING"],
        ),
        (
            Event::OrderReady { restaurant_id: id(2) },
            driven_by(3),
            ["ORDER_READY"; 4],
        ),
        (
            Event::OrderReady { restaurant_id: id(2) },
            driven_by(4),
            ["ORDER_READY", "ORDER_READY", "", "ORDER_READY"],
        ),
        (offer, offered(3), ["", "", "NEW_OFFER", "NEW_OFFER"]),
        (offer_ended(3), order(), ["", "", "OFFER_ENDED", "OFFER_ENDED"]),
        (assigned, driven_by(3), ["DRIVER_ASSIGNED"; 4]),
        (
            Event::DriverArrived { driver_id: id(3) },
            driven_by(3),
            ["DRIVER_ARRIVED"; 4],
        ),
        (gave_back, order(), ["DRIVER_CANCELLED"; 4]),
        (
            Event::OrderPickedUp { driver_id: id(3) },
            driven_by(3),
            ["ORDER_PICKED_UP"; 4],
        ),
        (cancelled(), driven_by(3), ["ORDER_CANCELLED"; 4]),
        (failed, driven_by(3), [""; 4]),
        (declined(2), order(), [""; 4]),
        (
            declined(2),
            Order {
                restaurant_id: id(4),
                ..order()
            },
            ["", "ORDER_WITHDRAWN", "", ""],
        ),
        (declined(4), order(), [""; 4]),
        (refunded, order(), ["PAYMENT_REFUNDED", "", "", "PAYMENT_REFUNDED"]),
        (
            Event::RatingRequested {},
            driven_by(3),
            ["RATING_REQUESTED", "", "", "RATING_REQUESTED"],
        ),
    ];
    let feed = feed();
    let mut parties = [CUSTOMER, RESTAURANT, DRIVER, OPERATOR].map(|who| feed.subscribe(who, None));
    let mut strangers = STRANGERS.map(|who| feed.subscribe(who, None));
    for (seq, (event, order, want)) in (1..).zip(table) {
        let case = format!("{event:?}");
        feed.publish(vec![committed(seq, event, &order)]);
        for (party, want) in parties.iter_mut().zip(want) {
            let told = told(party);
            let want: Vec<_> = Some(want).filter(|want| !want.is_empty()).into_iter().collect();
            assert_eq!(names(&told), want, "{case} for {:?}", party.who());
        }
        for stranger in &mut strangers {
            assert_eq!(told(stranger), Vec::<Value>::new(), "{case} for {:?}", stranger.who());
        }
    }
}

#[test]
fn nobody_is_shown_more_than_their_view() {
    let feed = feed();
    let mut driver = feed.subscribe(DRIVER, None);
    let mut restaurant = feed.subscribe(RESTAURANT, None);
    let mut customer = feed.subscribe(CUSTOMER, None);
    // Lost to driver 5 in the same command.
    feed.publish(vec![committed(1, offer_ended(3), &driven_by(5))]);
    feed.publish(vec![committed(
        2,
        assigned_to(4),
        &Order {
            restaurant_id: id(4),
            ..order()
        },
    )]);
    let picked_up = Event::OrderPickedUp { driver_id: id(3) };
    feed.publish(vec![committed(3, picked_up, &driven_by(3))]);
    let to_driver = told(&mut driver);
    assert_eq!(names(&to_driver), ["OFFER_ENDED", "ORDER_PICKED_UP"]);
    assert_eq!(
        to_driver[0]["order"]["delivery"]["driver"],
        Value::Null,
        "not who has it now"
    );
    assert_eq!(to_driver[0]["order"]["deliver_to"], Value::Null);
    assert_eq!(to_driver[1]["order"]["deliver_to"]["line"], "SECRET STREET");
    assert_eq!(to_driver[1]["order"]["pin"], Value::Null);
    let to_restaurant = told(&mut restaurant);
    assert_eq!(names(&to_restaurant), ["ORDER_PICKED_UP"]);
    assert!(!to_restaurant[0].to_string().contains("SECRET"));
    let to_customer = told(&mut customer);
    assert_eq!(to_customer[1]["order"]["pin"], "4711");
    assert_eq!(
        (to_customer[1]["seq"].as_u64(), to_customer[1]["version"].as_u64()),
        (Some(3), Some(3))
    );
}
