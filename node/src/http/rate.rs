//! How many requests one caller may send: a budget per principal, and per address for those without a valid token.
//!
//! Budgets refill steadily (GCRA) in real time, whatever the region's clock does. They live in memory: a restart fills
//! them. [`Rates::sweep`] forgets those that are full again, so the memory is bounded by who has called of late.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use http::{HeaderMap, HeaderName, HeaderValue};
use tomato_shared::runtime::jwt::Role;
use tomato_shared::runtime::shutdown::StopSignal;

use super::auth::Caller;
use super::table::Route;
use crate::config::RateConfig;

/// Real time between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(11);

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

type Limiter = RateLimiter<String, DefaultKeyedStateStore<String>, DefaultClock, StateInformationMiddleware>;

/// Requests that one kind of caller may send, or no limit.
struct Budget {
    name: &'static str,
    quota: u32,
    window_s: u32,
    limiter: Limiter,
}

/// All budgets.
pub struct Rates {
    customer: Option<Budget>,
    restaurant: Option<Budget>,
    driver: Option<Budget>,
    operator: Option<Budget>,
    service: Option<Budget>,
    anonymous: Option<Budget>,
    positions: Option<Budget>,
    clock: DefaultClock,
}

/// What is left of a budget: draft-ietf-httpapi-ratelimit-headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    name: &'static str,
    quota: u32,
    window_s: u32,
    /// Requests that may be sent at once.
    pub remaining: u32,
    /// Seconds until the budget is full again; where nothing remains, until the next request.
    pub reset_s: u32,
}

impl Standing {
    /// Adds `RateLimit-Policy` and `RateLimit`.
    pub fn write(&self, headers: &mut HeaderMap) {
        let policy = format!("\"{}\";q={};w={}", self.name, self.quota, self.window_s);
        let state = format!("\"{}\";r={};t={}", self.name, self.remaining, self.reset_s);
        for (name, text) in [(POLICY, policy), (STATE, state)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
    }
}

impl Budget {
    fn new(name: &'static str, per_min: u32, burst_s: u32) -> Option<Self> {
        let rate = NonZeroU32::new(per_min)?;
        // A window too short for one request still lets one through.
        let quota = u64::from(per_min) * u64::from(burst_s) / 60;
        let burst = NonZeroU32::new(u32::try_from(quota).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
        let limiter = RateLimiter::dashmap(Quota::per_minute(rate).allow_burst(burst));
        Some(Self {
            name,
            quota: burst.get(),
            window_s: burst_s,
            limiter: limiter.with_middleware(),
        })
    }

    /// `true` where the request is paid for.
    fn pay(&self, key: &String, clock: &DefaultClock) -> (bool, Standing) {
        let (paid, remaining, reset) = match self.limiter.check_key(key) {
            Ok(state) => {
                let left = state.remaining_burst_capacity();
                let spent = self.quota.saturating_sub(left);
                (true, left, state.quota().replenish_interval() * spent)
            }
            Err(until) => (false, 0, until.wait_time_from(clock.now())),
        };
        let whole = reset.as_secs() + u64::from(reset.subsec_nanos() > 0);
        let standing = Standing {
            name: self.name,
            quota: self.quota,
            window_s: self.window_s,
            remaining,
            reset_s: u32::try_from(whole).unwrap_or(u32::MAX),
        };
        (paid, standing)
    }
}

impl Rates {
    /// Full budgets.
    pub fn new(config: &RateConfig) -> Self {
        let budget = |name, per_min| Budget::new(name, per_min, config.burst_s);
        Self {
            customer: budget("customer", config.customer_per_min),
            restaurant: budget("restaurant", config.restaurant_per_min),
            driver: budget("driver", config.driver_per_min),
            operator: budget("operator", config.operator_per_min),
            service: budget("service", config.service_per_min),
            anonymous: budget("anonymous", config.anonymous_per_min),
            positions: budget("positions", config.positions_per_min),
            clock: DefaultClock::default(),
        }
    }

    /// Takes a request from its caller's budget; without a caller, from the address's. What is left, where there is a
    /// limit.
    ///
    /// # Errors
    /// The budget is used up: how it stands.
    pub fn pay(&self, route: &Route, caller: Option<&Caller>, address: IpAddr) -> Result<Option<Standing>, Standing> {
        if route.is_probe() {
            return Ok(None);
        }
        let (budget, key) = match caller {
            Some(caller) if route.name.starts_with("positions::") => (&self.positions, caller.principal()),
            Some(caller) => (self.of_role(caller.role), caller.principal()),
            None => (&self.anonymous, of_address(address)),
        };
        let Some(budget) = budget else { return Ok(None) };
        let (paid, standing) = budget.pay(&key, &self.clock);
        if paid { Ok(Some(standing)) } else { Err(standing) }
    }

    const fn of_role(&self, role: Role) -> &Option<Budget> {
        match role {
            Role::Customer => &self.customer,
            Role::Restaurant => &self.restaurant,
            Role::Driver => &self.driver,
            Role::Operator => &self.operator,
            Role::Service => &self.service,
        }
    }

    /// Forgets full budgets from time to time, until the process stops.
    pub async fn sweep(&self, mut stop: StopSignal) {
        loop {
            tokio::select! {
                () = stop.stopped() => return,
                () = tokio::time::sleep(SWEEP_EVERY) => self.forget_full(),
            }
        }
    }

    fn forget_full(&self) {
        for budget in self.all() {
            budget.limiter.retain_recent();
            budget.limiter.shrink_to_fit();
        }
    }

    fn all(&self) -> impl Iterator<Item = &Budget> {
        let all = [
            &self.customer,
            &self.restaurant,
            &self.driver,
            &self.operator,
            &self.service,
        ];
        all.into_iter().chain([&self.anonymous, &self.positions]).flatten()
    }

    /// Budgets in memory.
    pub fn kept(&self) -> usize {
        self.all().map(|budget| budget.limiter.len()).sum()
    }
}

/// One household has a /64 to itself and could call from a new address each time.
fn of_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::table::ROUTES;

    fn rates(anonymous_per_min: u32, burst_s: u32) -> Rates {
        Rates::new(&RateConfig {
            anonymous_per_min,
            burst_s,
            ..RateConfig::default()
        })
    }

    fn route(name: &str) -> &'static Route {
        ROUTES.iter().find(|route| route.name == name).unwrap()
    }

    fn pay(rates: &Rates, address: &str) -> Result<u32, u32> {
        let paid = rates.pay(route("restaurants::list"), None, address.parse().unwrap());
        paid.map(|standing| standing.unwrap().remaining)
            .map_err(|standing| standing.reset_s)
    }

    #[test]
    fn a_budget_is_spent_and_says_when_there_is_more() {
        let rates = rates(60, 3);
        assert_eq!([0; 3].map(|_| pay(&rates, "10.0.0.1")), [Ok(2), Ok(1), Ok(0)]);
        assert_eq!(pay(&rates, "10.0.0.1"), Err(1));
        assert_eq!(pay(&rates, "10.0.0.2"), Ok(2), "everybody has their own");
        assert_eq!(pay(&rates, "2001:db8::1"), Ok(2));
        assert_eq!(pay(&rates, "2001:db8::2"), Ok(1), "one /64");
        assert_eq!(pay(&rates, "2001:db8:0:1::2"), Ok(2));
    }

    #[test]
    fn probes_and_zero_are_without_limit() {
        let off = rates(0, 60);
        let of = |rates: &Rates, name: &str| rates.pay(route(name), None, IpAddr::from([10, 0, 0, 1]));
        assert_eq!(of(&off, "restaurants::list"), Ok(None));
        assert_eq!(of(&rates(1, 1), "health::live"), Ok(None));
    }

    #[test]
    fn full_budgets_are_forgotten() {
        let rates = rates(60_000, 60);
        for last in 0..=255 {
            pay(&rates, &format!("10.0.0.{last}")).unwrap();
        }
        assert_eq!(rates.kept(), 256);
        // One request of 1,000 per second is paid back in 1 ms.
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while rates.kept() > 0 && std::time::Instant::now() < deadline {
            rates.forget_full();
        }
        assert_eq!(rates.kept(), 0);
    }

    #[test]
    fn what_is_left_is_told_as_the_draft_has_it() {
        let mut headers = HeaderMap::new();
        let standing = Standing {
            name: "customer",
            quota: 100,
            window_s: 60,
            remaining: 99,
            reset_s: 1,
        };
        standing.write(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"customer\";q=100;w=60");
        assert_eq!(headers["ratelimit"], "\"customer\";r=99;t=1");
    }
}
