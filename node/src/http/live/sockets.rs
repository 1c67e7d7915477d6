//! How many live sockets each principal has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::SOCKETS_MAX;

/// Counts of open sockets; bounded by the sockets themselves.
#[derive(Debug, Default, Clone)]
pub struct Sockets(Arc<Mutex<HashMap<String, usize>>>);

/// One socket's place; dropping it gives the place up.
#[derive(Debug)]
pub struct Place {
    sockets: Sockets,
    principal: String,
}

impl Sockets {
    /// A place for one more, if the principal may have one.
    pub fn enter(&self, principal: String) -> Option<Place> {
        let mut counts = self.lock();
        let count = counts.get(&principal).copied().unwrap_or(0);
        if count >= SOCKETS_MAX {
            return None;
        }
        counts.insert(principal.clone(), count + 1);
        Some(Place {
            sockets: self.clone(),
            principal,
        })
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.lock().values().sum()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.sockets.lock();
        if let Some(count) = counts.get_mut(&self.principal) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_principal_has_so_many_places_and_gets_them_back() {
        let sockets = Sockets::default();
        let mut places: Vec<_> = (0..SOCKETS_MAX).map(|_| sockets.enter("a".into()).unwrap()).collect();
        assert!(sockets.enter("a".into()).is_none());
        assert!(sockets.enter("b".into()).is_some());
        places.pop();
        assert!(sockets.enter("a".into()).is_some());
        drop(places);
        assert_eq!((sockets.open(), sockets.lock().len()), (0, 0));
    }
}
