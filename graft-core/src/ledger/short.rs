//! Lists that are short in most calls, and then take no allocation.

use std::ops::{Deref, DerefMut};

use zeroize::Zeroize;

/// A list whose first `N` members stand in place. All of them move to the heap once there are more.
#[derive(Debug)]
pub(super) struct Short<T, const N: usize> {
    few: [T; N],
    len: usize,
    /// All of them, if they are more than `N`.
    many: Vec<T>,
}

impl<T: Default, const N: usize> Default for Short<T, N> {
    fn default() -> Self {
        Self { few: std::array::from_fn(|_| T::default()), len: 0, many: Vec::new() }
    }
}

impl<T: Default, const N: usize> Short<T, N> {
    pub(super) fn push(&mut self, member: T) {
        if let Some(free) = self.few.get_mut(self.len).filter(|_| self.many.is_empty()) {
            *free = member;
            self.len += 1;
            return;
        }
        if self.many.is_empty() {
            self.many.reserve(2 * N);
            self.many.extend(self.few[..self.len].iter_mut().map(std::mem::take));
        }
        self.many.push(member);
    }
}

impl<T: Copy, const N: usize> Short<T, N> {
    pub(super) fn extend_from_slice(&mut self, members: &[T]) {
        let end = self.len + members.len();
        if let Some(free) = self.few.get_mut(self.len..end).filter(|_| self.many.is_empty()) {
            free.copy_from_slice(members);
            self.len = end;
            return;
        }
        if self.many.is_empty() {
            self.many.extend_from_slice(&self.few[..self.len]);
        }
        self.many.extend_from_slice(members);
    }
}

impl<T: Zeroize, const N: usize> Zeroize for Short<T, N> {
    fn zeroize(&mut self) {
        self.few.zeroize();
        self.many.zeroize();
        self.len = 0;
    }
}

impl<T, const N: usize> Deref for Short<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        if self.many.is_empty() { &self.few[..self.len] } else { &self.many }
    }
}

impl<T, const N: usize> DerefMut for Short<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        if self.many.is_empty() { &mut self.few[..self.len] } else { &mut self.many }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_a_list_holds_however_long() {
        let (mut short, mut list) = (Short::<String, 3>::default(), Vec::new());
        for n in 0..10 {
            assert_eq!(&short[..], list);
            short.push(n.to_string());
            list.push(n.to_string());
            short[n / 2].push('x');
            list[n / 2].push('x');
        }
        assert_eq!(&short[..], list);
    }

    #[test]
    fn it_grows_by_slices_and_singly_in_any_order() {
        let (mut short, mut list) = (Short::<u8, 4>::default(), Vec::new());
        for round in 0..3 {
            for n in 0..6 {
                let part = [n; 5];
                short.extend_from_slice(&part[..(n as usize + round) % 4]);
                list.extend_from_slice(&part[..(n as usize + round) % 4]);
                short.push(n);
                list.push(n);
                assert_eq!(&short[..], list);
            }
        }
    }
}
