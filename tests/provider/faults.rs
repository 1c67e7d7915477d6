//! What goes wrong with a call, and how often it did.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// 500, nothing done; the key repeats it.
    FaultBefore,
    /// Done, then 500; the key repeats it.
    FaultAfter,
    /// No answer, nothing done.
    SilentBefore,
    /// Done, no answer.
    SilentAfter,
    /// No answer in time, and done only then.
    LateEffect,
    /// The answer breaks off, nothing done.
    ResetBefore,
    /// Done, and the answer breaks off.
    ResetAfter,
    /// 429.
    Busy,
    /// 502 and no JSON, as from a proxy; nothing done, no key kept.
    Garbage,
}

/// All of them.
pub const ALL: [Fault; 9] = [
    Fault::FaultBefore,
    Fault::FaultAfter,
    Fault::SilentBefore,
    Fault::SilentAfter,
    Fault::LateEffect,
    Fault::ResetBefore,
    Fault::ResetAfter,
    Fault::Busy,
    Fault::Garbage,
];

/// How often each of [`ALL`] happens, by call.
#[derive(Debug)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rng: StdRng,
    share: f64,
    always: Option<Fault>,
    planned: Vec<(&'static str, Fault)>,
    counts: BTreeMap<(&'static str, Fault), u64>,
    calls: BTreeMap<&'static str, u64>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: Mutex::new(State {
                rng: StdRng::seed_from_u64(seed),
                share: 0.0,
                always: None,
                planned: Vec::new(),
                counts: BTreeMap::new(),
                calls: BTreeMap::new(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Share of calls with which something goes wrong from now on, 0 to 1.
    pub fn share(&self, share: f64) {
        self.state().share = share;
    }

    /// From now on this goes wrong with every call, or nothing does any more.
    pub fn always(&self, fault: Option<Fault>) {
        self.state().always = fault;
    }

    /// From now on nobody is there (every call gets [`Fault::Garbage`]), or is there again.
    pub fn down(&self, down: bool) {
        self.always(down.then_some(Fault::Garbage));
    }

    /// The next call of a kind (as in [`kind`]) goes wrong in this way.
    pub fn next(&self, kind: &'static str, fault: Fault) {
        self.state().planned.push((kind, fault));
    }

    /// Plans that have not come true.
    pub fn planned(&self) -> usize {
        self.state().planned.len()
    }

    /// How often what went wrong with which call.
    pub fn counts(&self) -> BTreeMap<(&'static str, Fault), u64> {
        self.state().counts.clone()
    }

    /// How often each call was made.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.state().calls.clone()
    }

    pub(crate) fn client_patience(&self) -> Duration {
        super::CLIENT_PATIENCE
    }

    pub(crate) fn draw(&self, method: &http::Method, path: &str) -> Option<Fault> {
        let mut state = self.state();
        let kind = kind(method, path);
        *state.calls.entry(kind).or_default() += 1;
        let planned = state.planned.iter().position(|(of, _)| *of == kind);
        let share = state.share;
        let fault = if let Some(fault) = state.always {
            Some(fault)
        } else if let Some(at) = planned {
            Some(state.planned.remove(at).1)
        } else if state.rng.random_bool(share) {
            Some(ALL[state.rng.random_range(0..ALL.len())])
        } else {
            None
        }?;
        // A read has no effect that could come before or after.
        *state.counts.entry((kind, fault)).or_default() += 1;
        Some(fault)
    }
}

/// A name for what a call does.
pub fn kind(method: &http::Method, path: &str) -> &'static str {
    let post = *method == http::Method::POST;
    let last = path.rsplit('/').next().unwrap_or_default();
    match last {
        "capture" => "capture",
        "cancel" => "cancel",
        "refund" => "refund",
        "refunds" if post => "refund",
        "refunds" => "list refunds",
        "payment_intents" | "orders" if post => "create",
        "payment_intents" | "orders" => "list",
        "payments" => "list payments",
        "balance" => "probe",
        _ => "read",
    }
}
