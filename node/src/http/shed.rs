//! What is refused first when there is too much to do: each class may fill only its share of the requests worked on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::table::Class;

/// Requests being worked on.
#[derive(Debug, Clone)]
pub struct Shed {
    busy: Arc<AtomicUsize>,
    most: usize,
}

/// One request's place; dropping it gives the place up.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Shed {
    /// Room for `most` requests.
    pub fn new(most: usize) -> Self {
        Self {
            busy: Arc::default(),
            most,
        }
    }

    /// A place, if the class may still have one.
    pub fn enter(&self, class: Class) -> Option<Place> {
        let place = Place(self.busy.clone());
        let before = self.busy.fetch_add(1, Ordering::Relaxed);
        // Dropped with the place where it is refused.
        (before < self.most_of(class)).then_some(place)
    }

    /// A quarter is kept for what is under way, a tenth for money and what moves an order on.
    const fn most_of(&self, class: Class) -> usize {
        let percent = match class {
            Class::P0 => 100,
            Class::P1 => 90,
            Class::P2 => 75,
            Class::P3 => 50,
            Class::P4 => 25,
        };
        self.most * percent / 100
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_leaves_room_for_those_before_it() {
        let shed = Shed::new(100);
        let mut places = Vec::new();
        for (class, share) in [
            (Class::P4, 25),
            (Class::P3, 50),
            (Class::P2, 75),
            (Class::P1, 90),
            (Class::P0, 100),
        ] {
            while let Some(place) = shed.enter(class) {
                places.push(place);
            }
            assert_eq!(places.len(), share, "{class:?}");
        }
        places.clear();
        assert!(shed.enter(Class::P4).is_some());
        assert_eq!(shed.busy.load(Ordering::Relaxed), 0);
    }
}
