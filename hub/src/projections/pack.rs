//! Numbers and texts one after the other in few bytes: seven bits to a byte, the lowest first (LEB128).

/// Writes.
#[derive(Debug, Default)]
pub(crate) struct Pack(pub(crate) Vec<u8>);

impl Pack {
    /// A number; small ones take one byte.
    pub(crate) fn put(&mut self, mut rest: u64) {
        while rest >= 0x80 {
            self.0.push(0x80 | u8::try_from(rest & 0x7f).unwrap_or(0));
            rest >>= 7;
        }
        self.0.push(u8::try_from(rest).unwrap_or(0));
    }

    /// A number that may be negative; those near zero take one byte.
    pub(crate) fn put_signed(&mut self, number: i64) {
        self.put((number << 1 ^ number >> 63).cast_unsigned());
    }

    /// A short text.
    pub(crate) fn put_text(&mut self, text: &str) {
        self.put(u64::try_from(text.len()).unwrap_or(0));
        self.0.extend(text.as_bytes());
    }
}

/// Reads what [`Pack`] wrote, in the same order. Every method gives `None` for what was not written so.
#[derive(Debug)]
pub(crate) struct Unpack<'a>(pub(crate) &'a [u8]);

impl<'a> Unpack<'a> {
    /// See [`Pack::put`].
    pub(crate) fn get(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0, 0u32);
        loop {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
            shift += 7;
        }
    }

    /// See [`Pack::put_signed`].
    pub(crate) fn get_signed(&mut self) -> Option<i64> {
        let bits = self.get()?;
        Some((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed())
    }

    /// See [`Pack::put_text`].
    pub(crate) fn get_text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.get()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    /// Whether all was read.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let numbers = [0, 1, -1, 63, -64, 64, 1 << 40, i64::MAX, i64::MIN];
        let mut pack = Pack::default();
        for number in numbers {
            pack.put_signed(number);
            pack.put(number.cast_unsigned());
        }
        pack.put_text("Zürich");
        let mut unpack = Unpack(&pack.0);
        for number in numbers {
            assert_eq!(unpack.get_signed(), Some(number));
            assert_eq!(unpack.get(), Some(number.cast_unsigned()));
        }
        assert_eq!(unpack.get_text(), Some("Zürich"));
        assert!(unpack.is_empty());
        assert_eq!(unpack.get(), None);
        assert_eq!(Unpack(&[0x80]).get(), None);
        assert_eq!(Unpack(&[0xff; 11]).get(), None);
        assert_eq!(Unpack(&[3, b'a']).get_text(), None);
        assert_eq!(Unpack(&[1, 0xff]).get_text(), None);
        let mut small = Pack::default();
        [-64, 0, 63].into_iter().for_each(|number| small.put_signed(number));
        assert_eq!(small.0.len(), 3);
    }
}
