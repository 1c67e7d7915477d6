//! Whose things were, when last asked: bounded, and only a guess.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tomato_shared::cell::RegionId;

use super::wire::Thing;

/// Things of one generation; two are kept.
const GENERATION_MAX: usize = 8_192;

/// The last so many things, and whose they were. What was not asked for over a whole generation is forgotten.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Thing, RegionId>,
    old: HashMap<Thing, RegionId>,
}

impl Memory {
    /// Whose it was.
    pub fn get(&self, thing: Thing) -> Option<RegionId> {
        let mut state = self.lock();
        if let Some(region) = state.young.get(&thing) {
            return Some(region.clone());
        }
        let region = state.old.remove(&thing)?;
        state.put(thing, region.clone());
        Some(region)
    }

    /// Whose it is.
    pub fn put(&self, thing: Thing, region: RegionId) {
        self.lock().put(thing, region);
    }

    /// It is not there any more.
    pub fn forget(&self, thing: Thing) {
        let mut state = self.lock();
        state.young.remove(&thing);
        state.old.remove(&thing);
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn put(&mut self, thing: Thing, region: RegionId) {
        if self.young.len() >= GENERATION_MAX && !self.young.contains_key(&thing) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&thing);
        self.young.insert(thing, region);
    }
}

#[cfg(test)]
mod tests {
    use tomato_shared::id::OrderId;

    use super::*;

    fn thing(n: u64) -> Thing {
        Thing::Order(OrderId::from_bytes(u128::from(n).to_be_bytes()))
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_bounded() {
        let (memory, blr): (_, RegionId) = (Memory::default(), "blr".parse().unwrap());
        memory.put(thing(0), blr.clone());
        for n in 1..GENERATION_MAX as u64 * 5 {
            memory.put(thing(n), blr.clone());
            assert_eq!(memory.get(thing(0)), Some(blr.clone()), "{n}");
        }
        assert_eq!(memory.get(thing(1)), None);
        let state = memory.lock();
        assert!(state.young.len() <= GENERATION_MAX && state.old.len() <= GENERATION_MAX);
        drop(state);
        memory.forget(thing(0));
        assert_eq!(memory.get(thing(0)), None);
    }
}
