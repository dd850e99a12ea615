//! [`Labeled`] values and the only doors that lower a label or hand out the bare value.

use std::fmt;

use crate::{Label, Name, Sensitivity, Trust};

/// A value that carries its [`Label`] and does not come out by accident.
///
/// No `Deref`, no `Display`, no `Serialize`; `Debug` prints the label and not the value. The value
/// comes out through [`Labeled::release`], and its label is lowered by [`Labeled::declassify`] and
/// [`Labeled::endorse`]. Each leaves a [`Receipt`].
///
/// ```
/// use graft_core::{Label, Labeled, Name, Origin};
/// const SHOW: Name = Name::from_static("show-to-user");
/// let page = Labeled::new("hello".to_owned(), Label::untrusted(Origin::WEB_SEARCH));
/// assert!(!format!("{page:?}").contains("hello"));
/// let (text, receipt) = page.release(SHOW);
/// assert_eq!(text, "hello");
/// assert_eq!(receipt.purpose(), &SHOW);
/// ```
///
/// What the types forbid:
///
/// ```compile_fail
/// let x = graft_core::Labeled::new(String::from("a"), graft_core::Label::default());
/// let n: usize = x.len(); // no Deref
/// ```
/// ```compile_fail
/// let x = graft_core::Labeled::new(1, graft_core::Label::default());
/// println!("{x}"); // no Display
/// ```
/// ```compile_fail
/// fn serialise(_: impl serde::Serialize) {}
/// serialise(graft_core::Labeled::new(1, graft_core::Label::default())); // no silent Serialize
/// ```
/// ```compile_fail
/// let mut label = graft_core::Label::default();
/// label.trust = graft_core::Trust::Trusted; // a label has no public field to lower
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Labeled<T> {
    value: T,
    label: Label,
}

impl<T> Labeled<T> {
    /// Puts a label on `value`.
    pub fn new(value: T, label: Label) -> Self {
        Self { value, label }
    }

    /// The label.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// The same value under a label at least as high.
    #[must_use]
    pub fn raise(mut self, by: &Label) -> Self {
        self.label.raise(by);
        self
    }

    /// Computes on the value; the result carries the same label.
    #[must_use]
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Labeled<U> {
        Labeled { value: f(self.value), label: self.label }
    }

    /// Borrows the value, still labelled.
    pub fn as_ref(&self) -> Labeled<&T> {
        Labeled { value: &self.value, label: self.label.clone() }
    }

    /// Combines two values under the join of their labels.
    #[must_use]
    pub fn zip<U>(self, other: Labeled<U>) -> Labeled<(T, U)> {
        let Self { value, mut label } = self;
        label.raise(&other.label);
        Labeled { label, value: (value, other.value) }
    }

    /// The release door: the bare value, for `purpose`, with a receipt. The label is not lowered: code
    /// that hands the value on is expected to say so to the ledger.
    pub fn release(self, purpose: Name) -> (T, Receipt) {
        let receipt =
            Receipt { door: Door::Release, from: self.label.clone(), to: self.label, purpose, peer: None };
        (self.value, receipt)
    }

    /// Lowers sensitivity to `to` for one named `peer`. A `to` above the present one changes nothing.
    pub fn declassify(self, to: Sensitivity, peer: Name, purpose: Name) -> (Self, Receipt) {
        let lower = Label::from_parts(
            self.label.sensitivity().min(to),
            self.label.trust(),
            self.label.origins().clone(),
        );
        self.through(Door::Declassify, lower, purpose, Some(peer))
    }

    /// Raises the value to trusted: somebody looked at it and stands for it. The origins stay.
    pub fn endorse(self, purpose: Name) -> (Self, Receipt) {
        let lower = Label::from_parts(self.label.sensitivity(), Trust::Trusted, self.label.origins().clone());
        self.through(Door::Endorse, lower, purpose, None)
    }

    fn through(self, door: Door, to: Label, purpose: Name, peer: Option<Name>) -> (Self, Receipt) {
        let receipt = Receipt { door, from: self.label, to: to.clone(), purpose, peer };
        (Self { value: self.value, label: to }, receipt)
    }
}

impl<T> fmt::Debug for Labeled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Labeled([{}])", self.label)
    }
}

/// Which door a value went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The bare value was handed out.
    Release,
    /// Sensitivity was lowered for a named peer.
    Declassify,
    /// Trust was raised.
    Endorse,
}

impl Door {
    /// The word in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Declassify => "declassify",
            Self::Endorse => "endorse",
        }
    }
}

/// Proof that a door was used. Holds no value.
#[must_use = "hand the receipt to a recorder, or drop it on purpose"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    door: Door,
    from: Label,
    to: Label,
    purpose: Name,
    peer: Option<Name>,
}

impl Receipt {
    /// The door.
    pub fn door(&self) -> Door {
        self.door
    }

    /// The label before.
    pub fn from(&self) -> &Label {
        &self.from
    }

    /// The label after.
    pub fn to(&self) -> &Label {
        &self.to
    }

    /// Why, in the host's own term.
    pub fn purpose(&self) -> &Name {
        &self.purpose
    }

    /// For whom sensitivity was lowered.
    pub fn peer(&self) -> Option<&Name> {
        self.peer.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Origin;

    const WHY: Name = Name::from_static("test");

    #[test]
    fn doors_lower_one_part_each_and_say_so() {
        let label = Label::untrusted(Origin::WEB_SEARCH).with_sensitivity(Sensitivity::Secret);
        let (value, receipt) = Labeled::new(7, label.clone()).declassify(
            Sensitivity::Internal,
            Name::from_static("bank.example"),
            WHY,
        );
        assert_eq!(value.label().sensitivity(), Sensitivity::Internal);
        assert_eq!(value.label().trust(), Trust::Untrusted);
        assert_eq!((receipt.door(), receipt.from(), receipt.to()), (Door::Declassify, &label, value.label()));
        assert_eq!(receipt.peer().map(Name::as_str), Some("bank.example"));

        let (value, receipt) = Labeled::new(7, label.clone()).endorse(WHY);
        assert_eq!(value.label().sensitivity(), Sensitivity::Secret);
        assert_eq!(value.label().trust(), Trust::Trusted);
        assert_eq!(value.label().origins(), label.origins());
        assert_eq!(receipt.door(), Door::Endorse);
    }

    #[test]
    fn declassifying_upward_changes_nothing() {
        let (value, _receipt) = Labeled::new(7, Label::bottom()).declassify(Sensitivity::Secret, WHY, WHY);
        assert_eq!(value.label(), &Label::bottom());
    }

    #[test]
    fn combining_values_joins_their_labels() {
        let a = Labeled::new(1, Label::untrusted(Origin::WEB_SEARCH));
        let b = Labeled::new(2, Label::default().with_sensitivity(Sensitivity::Secret));
        let sum = a.zip(b).map(|(a, b)| a + b);
        assert_eq!(sum.label().trust(), Trust::Untrusted);
        assert_eq!(sum.label().sensitivity(), Sensitivity::Secret);
        assert_eq!(sum.release(WHY).0, 3);
    }
}
