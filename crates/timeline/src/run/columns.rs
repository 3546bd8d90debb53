//! Columns of numbers as bytes: seven bits per byte, the lowest bits first, and one bit that says whether more bytes
//! follow.

use std::collections::BTreeMap;

/// Named columns, one after the other.
#[derive(Default)]
pub(crate) struct Columns {
    bytes: Vec<u8>,
    /// The first byte of each column and the number of its values.
    places: BTreeMap<&'static str, (usize, usize)>,
}

impl Columns {
    /// Adds a column of small numbers.
    pub(crate) fn add(&mut self, name: &'static str, values: impl IntoIterator<Item = u64>) {
        let begin = self.bytes.len();
        let mut count = 0;
        for value in values {
            write_varint(value, &mut self.bytes);
            count += 1;
        }
        let before = self.places.insert(name, (begin, count));
        debug_assert!(before.is_none(), "two columns have the name {name}");
    }

    /// Returns the bytes and the place of each column.
    pub(crate) fn into_parts(self) -> (Vec<u8>, BTreeMap<&'static str, (usize, usize)>) {
        (self.bytes, self.places)
    }
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Returns a difference as an unsigned number: 0, -1, 1, -2, 2, ... become 0, 1, 2, 3, 4, ...
pub(crate) fn zigzag(difference: i64) -> u64 {
    (difference << 1 ^ difference >> 63) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_take_one_byte() {
        let mut columns = Columns::default();
        columns.add("a", [0, 127, 128]);
        columns.add("b", [u64::from(u32::MAX)]);
        let (bytes, places) = columns.into_parts();
        assert_eq!(bytes, [0, 127, 0x80, 1, 0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert_eq!(places, BTreeMap::from([("a", (0, 3)), ("b", (4, 1))]));
    }

    #[test]
    fn differences_near_zero_become_small_numbers() {
        assert_eq!([0, -1, 1, -2, 2].map(zigzag), [0, 1, 2, 3, 4]);
        assert_eq!(zigzag(i64::MIN), u64::MAX);
    }
}
