//! Columns of numbers that may be large.
//!
//! A fresh page of memory costs about as much as decoding the ticks that go into it, so long columns are taken from the system in
//! huge pages where it has them: a tenth of the page faults on the way in, and fewer misses of the address cache in the search.

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};

use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer};
use bytemuck::Pod;
use memmap2::MmapMut;

/// Numbers that are read as a slice. Built like a `Vec`, or from a filled [`Slab`]. Those that were made whole are cheap to clone:
/// clones share their memory until one is changed.
#[derive(Clone)]
pub struct Column<T: ArrowNativeType>(Memory<T>);

#[derive(Clone)]
enum Memory<T: ArrowNativeType> {
    Own(Vec<T>),
    Shared(ScalarBuffer<T>),
}

impl<T: ArrowNativeType> Column<T> {
    /// Empty, with room for `capacity` numbers.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Memory::Own(Vec::with_capacity(capacity)))
    }

    /// Appends a number.
    pub fn push(&mut self, value: T) {
        self.own().push(value);
    }

    /// The numbers as its own, copied if they are shared.
    fn own(&mut self) -> &mut Vec<T> {
        if let Memory::Shared(values) = &self.0 {
            self.0 = Memory::Own(values.to_vec());
        }
        match &mut self.0 {
            Memory::Own(values) => values,
            Memory::Shared(_) => unreachable!("just replaced"),
        }
    }
}

impl<T: ArrowNativeType> Default for Column<T> {
    fn default() -> Self {
        Self(Memory::Own(Vec::new()))
    }
}

impl<T: ArrowNativeType> Deref for Column<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Memory::Own(values) => values,
            Memory::Shared(values) => values,
        }
    }
}

impl<T: ArrowNativeType> DerefMut for Column<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.own()
    }
}

impl<'a, T: ArrowNativeType> IntoIterator for &'a Column<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: ArrowNativeType> Extend<T> for Column<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        values.into_iter().for_each(|value| self.push(value));
    }
}

impl<T: ArrowNativeType> FromIterator<T> for Column<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Vec::from_iter(values).into()
    }
}

impl<T: ArrowNativeType> From<Vec<T>> for Column<T> {
    fn from(values: Vec<T>) -> Self {
        Self(Memory::Shared(values.into()))
    }
}

impl<T: ArrowNativeType> From<Column<T>> for Vec<T> {
    fn from(column: Column<T>) -> Self {
        match column.0 {
            Memory::Own(values) => values,
            Memory::Shared(values) => values.to_vec(),
        }
    }
}

impl<T: ArrowNativeType> PartialEq for Column<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: ArrowNativeType + Eq> Eq for Column<T> {}

impl<T: ArrowNativeType> fmt::Debug for Column<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Zeros to be overwritten, then to become a [`Column`].
#[derive(Debug)]
pub struct Slab<T>(Pages<T>);

#[derive(Debug)]
enum Pages<T> {
    Heap(Vec<T>),
    Mapped(MmapMut),
}

impl<T: Pod + ArrowNativeType> Slab<T> {
    /// From this size on memory comes straight from the system: two huge pages on most machines.
    const MAPPED: usize = 1 << 22;

    /// `n` zeros, which are not touched yet. An error if the system does not have them.
    pub fn zeroed(n: usize) -> io::Result<Self> {
        let bytes = n.checked_mul(size_of::<T>()).ok_or(io::ErrorKind::OutOfMemory)?;
        if bytes < Self::MAPPED {
            return Ok(Self(Pages::Heap(vec![T::zeroed(); n])));
        }
        let pages = MmapMut::map_anon(bytes)?;
        // Advice: without huge pages it is only slower.
        #[cfg(target_os = "linux")]
        let _ = pages.advise(memmap2::Advice::HugePage);
        Ok(Self(Pages::Mapped(pages)))
    }
}

impl<T: Pod> Deref for Slab<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Pages::Heap(values) => values,
            Pages::Mapped(pages) => bytemuck::cast_slice(pages),
        }
    }
}

impl<T: Pod> DerefMut for Slab<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Pages::Heap(values) => values,
            Pages::Mapped(pages) => bytemuck::cast_slice_mut(pages),
        }
    }
}

impl<T: Pod + ArrowNativeType> From<Slab<T>> for Column<T> {
    fn from(slab: Slab<T>) -> Self {
        match slab.0 {
            Pages::Heap(values) => values.into(),
            Pages::Mapped(pages) => Self(Memory::Shared(ScalarBuffer::from(Buffer::from(
                bytes::Bytes::from_owner(pages),
            )))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_become_columns() {
        for n in [0, 3, (1 << 22) / 8 - 1, (1 << 22) / 8, (1 << 20) + 7] {
            let mut slab = Slab::<i64>::zeroed(n).unwrap();
            assert!(slab.iter().all(|&value| value == 0) && slab.len() == n);
            slab.iter_mut().zip(1..).for_each(|(slot, value)| *slot = value);
            let mut column = Column::from(slab);
            assert_eq!(column, (1..=n as i64).collect());
            let before = column.clone();
            column.push(-1);
            assert_eq!(column.len(), n + 1);
            assert_eq!(before[..], column[..n]);
            assert_eq!(Vec::from(before).len(), n);
        }
        assert!(Slab::<i64>::zeroed(usize::MAX / 4).is_err());
        assert!(Slab::<i64>::zeroed(usize::MAX / 16).is_err());
    }
}
