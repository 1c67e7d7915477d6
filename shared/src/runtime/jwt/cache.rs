//! Verified tokens, so that an EdDSA check (about 80 us) is paid once per token and not once per request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Claims;

/// SHA-256 of the whole token.
pub(super) type Key = [u8; 32];

/// Locks are held for one map operation; sixteen of them keep two cores from meeting.
const SHARDS: usize = 16;

pub(super) struct Cache {
    shards: Vec<Mutex<Shard>>,
}

/// Two generations: when the young one is full it becomes the old one and the old one is dropped, so the bound holds
/// without bookkeeping per entry, and a token in use moves back into the young one.
struct Shard {
    young: HashMap<Key, Entry>,
    old: HashMap<Key, Entry>,
    half: usize,
}

struct Entry {
    claims: Arc<Claims>,
    /// Generation of the key set that verified it: a replaced set makes it worthless.
    keys: u64,
}

impl Cache {
    /// `capacity`: most tokens kept; 0 turns the cache off.
    pub(super) fn new(capacity: usize) -> Self {
        let half = capacity.div_ceil(SHARDS * 2);
        let shard = || {
            Mutex::new(Shard {
                young: HashMap::new(),
                old: HashMap::new(),
                half,
            })
        };
        Self {
            shards: (0..if capacity == 0 { 0 } else { SHARDS }).map(|_| shard()).collect(),
        }
    }

    /// Claims of a token that key generation `keys` verified and that `now_s` finds unexpired.
    pub(super) fn get(&self, key: &Key, keys: u64, now_s: i64) -> Option<Arc<Claims>> {
        let mut shard = self.shard(key)?;
        let in_old = !shard.young.contains_key(key);
        let entry = if in_old {
            shard.old.get(key)
        } else {
            shard.young.get(key)
        }?;
        let claims = Arc::clone(&entry.claims);
        if entry.keys != keys || now_s >= claims.exp {
            shard.young.remove(key);
            shard.old.remove(key);
            return None;
        }
        if in_old {
            shard.insert(
                *key,
                Entry {
                    claims: Arc::clone(&claims),
                    keys,
                },
            );
        }
        Some(claims)
    }

    pub(super) fn insert(&self, key: Key, keys: u64, claims: Arc<Claims>) {
        if let Some(mut shard) = self.shard(&key) {
            shard.insert(key, Entry { claims, keys });
        }
    }

    fn shard(&self, key: &Key) -> Option<MutexGuard<'_, Shard>> {
        let index = usize::from(key[0]) % self.shards.len().max(1);
        // A panic inside a map operation leaves at worst a missing entry.
        self.shards
            .get(index)
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shard {
    fn insert(&mut self, key: Key, entry: Entry) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(exp: i64) -> Arc<Claims> {
        Arc::new(Claims {
            iss: String::new(),
            aud: String::new(),
            sub: "x".into(),
            role: super::super::Role::Driver,
            restaurant: None,
            regions: None,
            iat: 0,
            nbf: 0,
            exp,
            jti: String::new(),
        })
    }

    fn key(n: u32) -> Key {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&n.to_le_bytes());
        key
    }

    #[test]
    fn entries_end_at_exp_and_with_their_keys() {
        let cache = Cache::new(1_000);
        cache.insert(key(1), 7, claims(100));
        assert!(cache.get(&key(1), 7, 99).is_some());
        assert!(cache.get(&key(1), 7, 100).is_none());
        assert!(cache.get(&key(1), 7, 99).is_none(), "dropped, not hidden");
        cache.insert(key(2), 7, claims(100));
        assert!(cache.get(&key(2), 8, 1).is_none());
        assert!(Cache::new(0).get(&key(2), 7, 1).is_none());
    }

    #[test]
    fn size_is_bounded_and_tokens_in_use_stay() {
        let cache = Cache::new(320);
        for n in 0..100_000 {
            cache.insert(key(n), 1, claims(100));
            cache.get(&key(0), 1, 1).unwrap();
        }
        let size: usize = cache
            .shards
            .iter()
            .map(|s| s.lock().unwrap())
            .map(|s| s.young.len() + s.old.len())
            .sum();
        assert!((160..=320).contains(&size), "{size}");
    }
}
