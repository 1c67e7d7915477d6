//! Seeded randomness. Each decision maker draws from a stream of its own, named by what it is, so that the order in
//! which tasks happen to run changes nothing about what each of them decides.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tomato_shared::id::Id;
use tomato_shared::time::DurationMs;

/// A stream that depends only on the seed, a word and a number.
pub fn stream(seed: u64, word: &str, number: u64) -> StdRng {
    // FNV-1a over all three: any good spread will do, it must only stay the same for ever.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let bytes = seed
        .to_le_bytes()
        .into_iter()
        .chain(word.bytes())
        .chain(number.to_le_bytes());
    for byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    StdRng::seed_from_u64(hash)
}

/// An id drawn from a stream.
pub fn id<K>(rng: &mut StdRng) -> Id<K>
where
    K: tomato_shared::id::Kind,
{
    Id::from_bytes(rng.random())
}

/// A span between two, in seconds.
pub fn seconds(rng: &mut StdRng, (least, most): (i64, i64)) -> DurationMs {
    DurationMs(rng.random_range(least * 1_000..=most * 1_000))
}

/// True with probability `share`.
pub fn happens(rng: &mut StdRng, share: f64) -> bool {
    rng.random_bool(share.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_name() {
        let draw = |seed, word, number| stream(seed, word, number).random::<u64>();
        assert_eq!(draw(7, "driver", 3), draw(7, "driver", 3));
        assert_ne!(draw(7, "driver", 3), draw(7, "driver", 4));
        assert_ne!(draw(7, "driver", 3), draw(7, "customer", 3));
        assert_ne!(draw(7, "driver", 3), draw(8, "driver", 3));
    }
}
