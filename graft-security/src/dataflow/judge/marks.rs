//! Marks on leaves.

use std::collections::BTreeSet;

/// The leaves, by number, of which something holds. Most calls mark few of the first 64 and allocate nothing.
#[derive(Default)]
pub(super) struct Marks {
    first: u64,
    others: BTreeSet<usize>,
}

impl Marks {
    pub(super) fn set(&mut self, number: usize) {
        match number {
            0..64 => self.first |= 1 << number,
            _ => drop(self.others.insert(number)),
        }
    }

    pub(super) fn has(&self, number: usize) -> bool {
        match number {
            0..64 => self.first >> number & 1 == 1,
            _ => self.others.contains(&number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_marked_if_it_was_and_no_other_is() {
        let mut marks = Marks::default();
        let marked = [0, 5, 63, 64, 65, 1000];
        marked.into_iter().for_each(|number| marks.set(number));
        (0..1100).for_each(|number| assert_eq!(marks.has(number), marked.contains(&number), "{number}"));
    }
}
