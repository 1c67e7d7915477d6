//! Events for those who ask instead of listening.

use super::*;

/// Everything from the start, in pages of `limit`: the names, and where it ended.
async fn all(rig: &Rig, token: &str, limit: usize) -> (Vec<String>, u64) {
    let (mut names, mut after) = (Vec::new(), 0);
    loop {
        let path = format!("/v1/events?after={after}&limit={limit}");
        let page = rig.get(&path, token).await.expect(200).json;
        let rows = page["data"].as_array().unwrap();
        assert!(rows.len() <= limit && page["missed"] == json!(false));
        for row in rows {
            let seq = row["seq"].as_u64().unwrap();
            assert!(seq > after, "in order, and none twice");
            after = seq;
            names.push(text(&row["type"]));
        }
        after = page["next_after"].as_u64().unwrap();
        if page["more"] == json!(false) {
            return (names, after);
        }
    }
}

#[tokio::test]
async fn everybody_hears_what_the_socket_would_tell_them() {
    let rig = Rig::new();
    rig.seed().await;
    let (customer, kitchen, operator) = (rig.customer(CUSTOMER), rig.restaurant(RESTAURANT), rig.operator());
    let order = text(&rig.place(&customer, "k", &basket()).await.expect(201).json["id"]);
    let accept = format!("/v1/restaurants/{RESTAURANT}/orders/{order}/accept");
    rig.post(&accept, &kitchen, json!({"ready_in_min": 5}))
        .await
        .expect(200);
    let assign = format!("/v1/orders/{order}/assign");
    rig.post(&assign, &operator, json!({"driver_id": DRIVER}))
        .await
        .expect(200);
    let (customers, end) = all(&rig, &customer, 1).await;
    let wanted = [
        "ORDER_CREATED",
        "ORDER_CONFIRMED",
        "RESTAURANT_ASSIGNED",
        "ORDER_PREPARING",
        "DRIVER_ASSIGNED",
    ];
    assert_eq!(customers, wanted);
    assert_eq!(
        all(&rig, &customer, 100).await,
        (customers, end),
        "pages change nothing"
    );
    assert_eq!(
        all(&rig, &kitchen, 2).await.0,
        ["NEW_ORDER", "ORDER_PREPARING", "DRIVER_ASSIGNED"]
    );
    assert_eq!(all(&rig, &rig.driver(DRIVER), 100).await.0, ["DRIVER_ASSIGNED"]);
    assert_eq!(all(&rig, &operator, 100).await.0, wanted);
    for stranger in [
        rig.customer(OTHER_CUSTOMER),
        rig.restaurant(OTHER_RESTAURANT),
        rig.driver(OTHER_DRIVER),
    ] {
        assert_eq!(all(&rig, &stranger, 100).await, (Vec::new(), end));
    }
    let later = format!("/v1/events?after={end}");
    let page = rig.get(&later, &customer).await.expect(200).json;
    assert_eq!((&page["data"], &page["next_after"]), (&json!([]), &json!(end)));
    rig.get("/v1/events?after=-1", &customer).await.expect(400);
    rig.get("/v1/events?limit=101", &customer).await.expect(400);
}
