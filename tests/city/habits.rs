//! How people behave: delays in simulated seconds, and how often things go another way than everybody hopes.

/// All habits of a city. Shares are from 0 to 1; every one of them leads to a legal final state.
#[derive(Debug, Clone, PartialEq)]
pub struct Habits {
    /// Orders per simulated minute.
    pub orders_per_min: f64,
    /// Seconds from opening the app to the order.
    pub browse_s: (i64, i64),
    /// Share of customers who ask for a quote first.
    pub quotes: f64,
    /// Share who leave the choice of the restaurant to the region.
    pub any_restaurant: f64,
    /// Share who pay cash.
    pub cash: f64,
    /// Share whose card is declined.
    pub card_declined: f64,
    /// Share of those who then try another card; half of these are declined again.
    pub another_card: f64,
    /// Share whose card takes ten seconds.
    pub card_slow: f64,
    /// Share whose card's outcome is unknown for a minute.
    pub card_timeout: f64,
    /// Share whose bank wants a confirmation, and of those whose bank wants one in vain.
    pub card_3ds: f64,
    pub card_3ds_abandoned: f64,
    /// Share whose card turns out to have been authorised when the order is long over.
    pub card_late: f64,
    /// Share whose money does not come although it was promised.
    pub card_capture_refused: f64,
    /// Share to whom money goes back late, or not at the first try; these give their orders up more often.
    pub card_refund_slow: f64,
    pub card_refund_failed: f64,
    /// Share who give the order up soon after placing it.
    pub customer_cancels: f64,
    /// Share who do not open the door.
    pub customer_absent: f64,
    /// Share who want it later, and how many minutes ahead.
    pub scheduled: f64,
    pub ahead_min: (i64, i64),
    /// Share who type the promotion's code.
    pub promo: f64,
    /// Share who do not agree to a proposed change.
    pub change_declined: f64,
    /// Share who rate a delivered order, and who then give the driver something more.
    pub rates: f64,
    pub tips_after: f64,
    /// Share of delivered orders with which an operator has to make good.
    pub complains: f64,
    /// Seconds a restaurant takes to answer.
    pub answer_s: (i64, i64),
    /// Share of orders a restaurant rejects.
    pub restaurant_rejects: f64,
    /// Share it never answers.
    pub restaurant_silent: f64,
    /// Share of orders of which it cannot cook all.
    pub restaurant_changes: f64,
    /// Share for which it needs longer than it said, and tells.
    pub restaurant_delays: f64,
    /// Share it gives up after accepting.
    pub restaurant_gives_up: f64,
    /// Minutes a restaurant says that it needs.
    pub cook_min: (u32, u32),
    /// Seconds by which it is late, or early where negative.
    pub late_s: (i64, i64),
    /// Seconds a driver thinks about an offer.
    pub decide_s: (i64, i64),
    /// Share of offers a driver declines.
    pub driver_declines: f64,
    /// Share a driver does not look at.
    pub driver_ignores: f64,
    /// Share of deliveries given back on the way to the restaurant.
    pub driver_gives_back: f64,
    /// Share of hand-overs proved by a photo instead of the PIN.
    pub photo: f64,
    /// Metres per minute of straight line.
    pub speed_m_per_min: f64,
    /// Seconds at the restaurant, and at the door.
    pub handover_s: (i64, i64),
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            orders_per_min: 1.0,
            browse_s: (5, 60),
            quotes: 0.6,
            any_restaurant: 0.1,
            cash: 0.2,
            card_declined: 0.03,
            another_card: 0.6,
            card_slow: 0.03,
            card_timeout: 0.01,
            card_3ds: 0.03,
            card_3ds_abandoned: 0.01,
            card_late: 0.01,
            card_capture_refused: 0.01,
            card_refund_slow: 0.02,
            card_refund_failed: 0.02,
            customer_cancels: 0.02,
            customer_absent: 0.01,
            scheduled: 0.04,
            ahead_min: (32, 50),
            promo: 0.1,
            change_declined: 0.3,
            rates: 0.4,
            tips_after: 0.25,
            complains: 0.02,
            answer_s: (10, 90),
            restaurant_rejects: 0.02,
            restaurant_silent: 0.01,
            restaurant_changes: 0.03,
            restaurant_delays: 0.04,
            restaurant_gives_up: 0.005,
            cook_min: (6, 20),
            late_s: (-120, 180),
            decide_s: (2, 10),
            driver_declines: 0.04,
            driver_ignores: 0.02,
            driver_gives_back: 0.02,
            photo: 0.3,
            speed_m_per_min: 300.0,
            handover_s: (30, 120),
        }
    }
}

impl Habits {
    /// A city in which everything goes well.
    pub fn flawless() -> Self {
        Self {
            card_declined: 0.0,
            card_slow: 0.0,
            card_timeout: 0.0,
            card_3ds: 0.0,
            card_3ds_abandoned: 0.0,
            card_late: 0.0,
            card_capture_refused: 0.0,
            card_refund_slow: 0.0,
            card_refund_failed: 0.0,
            customer_cancels: 0.0,
            customer_absent: 0.0,
            restaurant_rejects: 0.0,
            restaurant_silent: 0.0,
            restaurant_changes: 0.0,
            restaurant_delays: 0.0,
            restaurant_gives_up: 0.0,
            scheduled: 0.0,
            complains: 0.0,
            driver_declines: 0.0,
            driver_ignores: 0.0,
            driver_gives_back: 0.0,
            ..Self::default()
        }
    }
}
