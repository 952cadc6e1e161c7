//! Names as numbers: texts that occur many times are kept once.

use std::cmp::Ordering;

use crate::error::{Error, Result};

/// Texts in the order of their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    text: String,
    ends: Vec<usize>,
}

impl Names {
    /// Number of names.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The name with a number.
    pub fn get(&self, number: u32) -> &str {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[number]]
    }

    /// All names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len() as u32).map(|number| self.get(number))
    }

    fn push(&mut self, name: &str) -> Result<u32> {
        // The largest number stands for no name.
        let number = u32::try_from(self.len())
            .ok()
            .filter(|&number| number < NO_NAME)
            .ok_or_else(|| Error::overflow("number of names"))?;
        self.text.push_str(name);
        self.ends.push(self.text.len());
        Ok(number)
    }

    /// The number of a name, if the names ascend.
    fn position(&self, name: &str) -> Option<u32> {
        let (mut from, mut to) = (0, self.ends.len() as u32);
        while from < to {
            let middle = from + (to - from) / 2;
            match self.get(middle).cmp(name) {
                Ordering::Less => from = middle + 1,
                Ordering::Equal => return Some(middle),
                Ordering::Greater => to = middle,
            }
        }
        None
    }

    /// The same names in order of text, and the new number of each old one.
    pub fn sorted(&self) -> Result<(Self, Vec<u32>)> {
        let mut order: Vec<u32> = (0..self.ends.len() as u32).collect();
        order.sort_unstable_by_key(|&number| self.get(number));
        let mut sorted = Self::default();
        let mut numbers = vec![0; order.len()];
        for old in order {
            numbers[old as usize] = sorted.push(self.get(old))?;
        }
        Ok((sorted, numbers))
    }
}

/// In a column of numbers of names: a null, or a column that is not there.
pub const NO_NAME: u32 = u32::MAX;

/// Gives numbers to names in order of first appearance.
///
/// An open-addressing table from a fixed hash to numbers: what comes out depends on the order of the names alone. As long as each new
/// name comes after all others in the alphabet, as those of most books do, there is no table: looking into one that is large misses the
/// cache every time.
#[derive(Debug, Default)]
pub struct Interner {
    names: Names,
    /// Empty as long as the names ascend. Upper half: hash; lower half: number plus one, zero where nothing is. Its length is a power of two, or zero.
    table: Vec<u64>,
}

impl Interner {
    /// The names so far.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The names.
    pub fn into_names(self) -> Names {
        self.names
    }

    /// The number of a name, a new one if it has none.
    pub fn number(&mut self, name: &str) -> Result<u32> {
        if self.table.is_empty() && self.last().is_none_or(|last| last < name) {
            return self.names.push(name);
        }
        if (self.names.len() + 1) * 2 > self.table.len() {
            self.grow();
        }
        let hash = hash(name.as_bytes());
        let at = match self.seek(hash, name) {
            Ok(number) => return Ok(number),
            Err(free) => free,
        };
        let number = self.names.push(name)?;
        self.table[at] = u64::from(hash) << 32 | (u64::from(number) + 1);
        Ok(number)
    }

    fn last(&self) -> Option<&str> {
        let last = self.names.len().checked_sub(1)?;
        Some(self.names.get(last as u32))
    }

    /// The number of a name, if it has one.
    pub fn find(&self, name: &str) -> Option<u32> {
        if self.table.is_empty() {
            return self.names.position(name);
        }
        self.seek(hash(name.as_bytes()), name).ok()
    }

    /// The number of a name, or else the free place in the table where it belongs.
    fn seek(&self, hash: u32, name: &str) -> std::result::Result<u32, usize> {
        let mask = self.table.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.table[at];
            if slot == 0 {
                return Err(at);
            }
            if (slot >> 32) as u32 == hash {
                let number = slot as u32 - 1;
                if self.names.get(number) == name {
                    return Ok(number);
                }
            }
            at = (at + 1) & mask;
        }
    }

    /// Makes a table with room for as many names again.
    fn grow(&mut self) {
        let mut table = vec![0; (self.names.len() * 4).next_power_of_two().max(64)];
        let mask = table.len() - 1;
        let mut place = |slot: u64| {
            let mut at = (slot >> 32) as usize & mask;
            while table[at] != 0 {
                at = (at + 1) & mask;
            }
            table[at] = slot;
        };
        if self.table.is_empty() {
            for (number, name) in (1u64..).zip(self.names.iter()) {
                place(u64::from(hash(name.as_bytes())) << 32 | number);
            }
        } else {
            self.table
                .iter()
                .filter(|&&slot| slot != 0)
                .for_each(|&slot| place(slot));
        }
        self.table = table;
    }
}

/// Multiplies and folds, eight bytes at a time. It only has to spread names, not to resist anyone.
fn hash(bytes: &[u8]) -> u32 {
    let mix = |x: u64| {
        let wide = u128::from(x) * 0x9e37_79b9_7f4a_7c15;
        wide as u64 ^ (wide >> 64) as u64
    };
    let (words, tail) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    let start = mix(bytes.len() as u64 + 1);
    let all = words
        .iter()
        .chain([&last])
        .fold(start, |h, word| mix(h ^ u64::from_le_bytes(*word)));
    (mix(all) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn numbers_follow_first_appearance() {
        let mut interner = Interner::default();
        assert_eq!(interner.find("b"), None);
        let numbers: Vec<u32> = ["b", "a", "", "b", "ä", "a"]
            .iter()
            .map(|name| interner.number(name).unwrap())
            .collect();
        assert_eq!(numbers, [0, 1, 2, 0, 3, 1]);
        assert_eq!((interner.find("ä"), interner.find("c")), (Some(3), None));
        let (sorted, new) = interner.into_names().sorted().unwrap();
        assert_eq!(sorted.iter().collect::<Vec<_>>(), ["", "a", "b", "ä"]);
        assert_eq!(new, [2, 1, 0, 3]);
    }

    #[test]
    fn names_spread() {
        // Linear probing stays short only if the low bits of the hash differ for names that count upwards.
        let mut buckets = vec![0u32; 1 << 12];
        for n in 0..1 << 12 {
            buckets[hash(format!("a{n:07}").as_bytes()) as usize & 0xfff] += 1;
        }
        assert!(*buckets.iter().max().unwrap() < 10);
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_a_map(names in proptest::collection::vec("[ab]{0,10}", 0..400), ascending in 0usize..400) {
            let mut names = names;
            let ascending = ascending.min(names.len());
            names[..ascending].sort_unstable();
            let mut map = BTreeMap::new();
            let mut interner = Interner::default();
            for name in &names {
                let next = map.len() as u32;
                let expected = *map.entry(name.clone()).or_insert(next);
                proptest::prop_assert_eq!(interner.number(name).unwrap(), expected);
                proptest::prop_assert_eq!(interner.find(name), Some(expected));
                proptest::prop_assert_eq!(interner.find("abc"), None);
            }
            proptest::prop_assert_eq!(interner.names().len(), map.len());
            for (name, number) in map {
                proptest::prop_assert_eq!(interner.find(&name), Some(number));
                proptest::prop_assert_eq!(interner.names().get(number), name);
            }
        }
    }
}
