//! What is learned: preparation times and speeds.

use std::sync::Arc;

use super::*;

#[test]
fn preparation_is_learned_and_conditioned_on_the_time_elapsed() {
    let restaurant = RestaurantId::from_bytes(key(1));
    let mut model = PrepModel::new(PrepPrior::default());
    let before_ms = model.mean_ms(restaurant, 0, 17 * MINUTE_MS);
    for _ in 0..40 {
        model.observe(restaurant, 0, 17 * MINUTE_MS, 30 * MINUTE_MS);
    }
    assert!(model.mean_ms(restaurant, 0, 17 * MINUTE_MS) > before_ms + (8 * MINUTE_MS) as f64);
    for elapsed_min in [0, 10, 40, 300] {
        let now_ms = elapsed_min * MINUTE_MS;
        let moments = model.remaining(restaurant, 0, 17 * MINUTE_MS, now_ms);
        assert!(moments.iter().all(|&ms| ms >= now_ms) && moments.is_sorted() && !moments.is_empty());
    }
}

#[test]
fn travel_prefers_table_then_learned_then_straight_line() {
    let (a, b) = (Point { x_m: 0.0, y_m: 0.0 }, Point { x_m: 640.0, y_m: 0.0 });
    let mut travel = Travel::straight(320.0, MINUTE_MS);
    assert_eq!(travel.ms(a, b, 0), 2 * MINUTE_MS);
    assert_eq!(travel.ms(a, Point { x_m: 641.0, y_m: 0.0 }, 0), 3 * MINUTE_MS);
    assert_eq!(travel.ms(a, a, 0), 0);
    travel.learned = LearnedSpeeds::new(1_000.0, 320.0, 1.0);
    for _ in 0..500 {
        travel.learned.observe(a, b, 0, 4 * MINUTE_MS);
    }
    assert_eq!(travel.ms(a, b, 0), 4 * MINUTE_MS);
    travel.table = Arc::new([((a.into(), b.into()), 7_000)].into());
    assert_eq!(travel.ms(a, b, 0), 7_000);
}
