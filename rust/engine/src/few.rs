//! A list that is mostly short: its first values stand in place, so that it asks for no memory until there are more of them.

use std::ops::{Deref, DerefMut};

/// Values in order; up to `N` of them stand in place.
#[derive(Debug, Clone)]
pub struct Few<T, const N: usize> {
    len: usize,
    /// The first so many; any value behind them. None before the first value.
    here: Option<[T; N]>,
    /// All of them, once there were more than `N`.
    all: Vec<T>,
}

impl<T: Copy, const N: usize> Few<T, N> {
    /// None.
    pub fn new() -> Self {
        Self {
            len: 0,
            here: None,
            all: Vec::new(),
        }
    }

    /// Adds a value at the end.
    pub fn push(&mut self, value: T) {
        self.insert(self.len, value);
    }

    /// Adds a value at a place.
    pub fn insert(&mut self, place: usize, value: T) {
        if self.all.is_empty() && self.len < N {
            let here = self.here.get_or_insert([value; N]);
            here.copy_within(place..self.len, place + 1);
            here[place] = value;
        } else {
            if self.all.is_empty() {
                self.all = self.to_vec();
            }
            self.all.insert(place, value);
        }
        self.len += 1;
    }

    /// Keeps the values that are wanted.
    pub fn retain(&mut self, wanted: impl Fn(&T) -> bool) {
        if !self.iter().all(&wanted) {
            *self = self.iter().copied().filter(wanted).collect();
        }
    }
}

impl<T: Copy, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy, const N: usize> Deref for Few<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.here {
            Some(here) if self.all.is_empty() => &here[..self.len],
            _ => &self.all,
        }
    }
}

impl<T: Copy, const N: usize> DerefMut for Few<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.here {
            Some(here) if self.all.is_empty() => &mut here[..self.len],
            _ => &mut self.all,
        }
    }
}

impl<T: Copy, const N: usize> Extend<T> for Few<T, N> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        for value in values {
            self.push(value);
        }
    }
}

impl<T: Copy, const N: usize> FromIterator<T> for Few<T, N> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut few = Self::new();
        few.extend(values);
        few
    }
}

impl<'a, T: Copy, const N: usize> IntoIterator for &'a Few<T, N> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_vector_holds(inserts in prop::collection::vec((0usize..9, 0u8..6), 0..9), unwanted in 0u8..6) {
            let (mut few, mut all) = (Few::<u8, 3>::new(), Vec::new());
            for (place, value) in inserts {
                let place = place.min(all.len());
                few.insert(place, value);
                all.insert(place, value);
                prop_assert_eq!(&*few, &*all);
            }
            few.retain(|v| *v != unwanted);
            all.retain(|v| *v != unwanted);
            prop_assert_eq!(&*few, &*all);
            few.push(7);
            all.push(7);
            few.iter_mut().for_each(|v| *v += 1);
            all.iter_mut().for_each(|v| *v += 1);
            prop_assert_eq!(few.iter().collect::<Vec<_>>(), all.iter().collect::<Vec<_>>());
        }
    }
}
