//! A result as a tree, for as long as a plan's sources are evaluated.

use graft_core::{Leaf, Leaves, Path, Segment};

/// The most nodes, and bytes of text, of one result that are looked at.
const MAX_NODES: usize = 1 << 18;
const MAX_TEXT: usize = 8 << 20;
/// The deepest nesting that is looked at.
const MAX_DEPTH: usize = 64;

/// A result. Node 0 is its root; a node's number is higher than its parent's.
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// Whether not all of the result is in it.
    pub(super) is_cut: bool,
}

pub(super) struct Node {
    pub(super) parent: usize,
    /// How its parent knows it.
    pub(super) step: Step,
    pub(super) children: Vec<usize>,
    /// What it says, if it is a value without parts.
    pub(super) text: Option<String>,
}

#[derive(PartialEq, Eq)]
pub(super) enum Step {
    Root,
    /// A field, whose name the type gives.
    Field(String),
    /// A key, which may itself be a value.
    Key(String),
    Index(usize),
}

impl Step {
    fn new(segment: Segment<'_>) -> Self {
        match segment {
            Segment::Field(name) => Self::Field(name.to_owned()),
            Segment::Key(name) => Self::Key(name.to_owned()),
            Segment::Index(index) => Self::Index(index),
        }
    }

    fn is(&self, segment: Segment<'_>) -> bool {
        match (self, segment) {
            (Self::Field(own), Segment::Field(other)) | (Self::Key(own), Segment::Key(other)) => own == other,
            (Self::Index(own), Segment::Index(other)) => *own == other,
            _ => false,
        }
    }

    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Field(name) | Self::Key(name) => Some(name),
            Self::Root | Self::Index(_) => None,
        }
    }
}

impl Tree {
    pub(super) fn of(value: &dyn Leaves) -> Self {
        let root = Node { parent: 0, step: Step::Root, children: Vec::new(), text: None };
        let mut tree = Self { nodes: vec![root], is_cut: false };
        let mut text_left = MAX_TEXT;
        value.visit(&Path::ROOT, &mut |path, leaf| {
            let Some(node) = tree.place(path) else {
                tree.is_cut = true;
                return;
            };
            let Some(text) = text_of(leaf) else { return };
            match text_left.checked_sub(text.len()) {
                Some(left) => (text_left, tree.nodes[node].text) = (left, Some(text)),
                None => tree.is_cut = true,
            }
        });
        tree
    }

    /// The node at `path`, which is made if it is new. Leaves come in order, so it is new or the newest.
    fn place(&mut self, path: &Path<'_>) -> Option<usize> {
        if path.depth() > MAX_DEPTH {
            return None;
        }
        let mut segments = Vec::new();
        let mut rest = path.split_last();
        while let Some((parent, segment)) = rest {
            segments.push(segment);
            rest = parent.split_last();
        }
        let mut at = 0;
        for segment in segments.into_iter().rev() {
            let newest = self.nodes[at].children.last().copied();
            at = match newest.filter(|&newest| self.nodes[newest].step.is(segment)) {
                Some(newest) => newest,
                None if self.nodes.len() == MAX_NODES => return None,
                None => {
                    let node =
                        Node { parent: at, step: Step::new(segment), children: Vec::new(), text: None };
                    self.nodes.push(node);
                    let new = self.nodes.len() - 1;
                    // What has parts is no value, but for the name of a variant, which its type fixes.
                    self.nodes[at].text = None;
                    self.nodes[at].children.push(new);
                    new
                }
            };
        }
        Some(at)
    }

    pub(super) fn node(&self, at: usize) -> &Node {
        &self.nodes[at]
    }

    /// Whether the node is a list with anything in it.
    pub(super) fn is_list(&self, at: usize) -> bool {
        self.nodes[at].children.first().is_some_and(|&child| matches!(self.nodes[child].step, Step::Index(_)))
    }

    /// Those of `roots`, which are in order, and all that is under them, in order.
    pub(super) fn under(&self, roots: &[usize]) -> Vec<usize> {
        let mut is_in = vec![false; self.nodes.len()];
        roots.iter().for_each(|&root| is_in[root] = true);
        for at in 1..self.nodes.len() {
            is_in[at] |= is_in[self.nodes[at].parent];
        }
        (0..self.nodes.len()).filter(|&at| is_in[at]).collect()
    }
}

/// A leaf as the text that values are compared as.
pub(super) fn text_of(leaf: Leaf<'_>) -> Option<String> {
    match leaf {
        Leaf::Bool(flag) => Some(flag.to_string()),
        Leaf::Variant(name) => Some(name.to_owned()),
        // Its name is part of its path.
        Leaf::Key(_) | Leaf::Empty => None,
        leaf => leaf.with_text(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_value_becomes_its_tree() {
        let value = BTreeMap::from([("a", vec!["x", "y"]), ("b", vec![])]);
        let value: BTreeMap<_, Vec<String>> =
            value.into_iter().map(|(key, all)| (key, all.into_iter().map(str::to_owned).collect())).collect();
        let tree = Tree::of(&value);
        assert_eq!((tree.nodes.len(), tree.is_cut), (5, false));
        let names: Vec<_> = tree.node(0).children.iter().map(|&child| tree.node(child).step.name()).collect();
        assert_eq!(names, [Some("a"), Some("b")]);
        assert!(tree.is_list(1) && !tree.is_list(0) && !tree.is_list(4));
        assert_eq!(tree.under(&[1]), [1, 2, 3]);
        assert_eq!(tree.node(3).text.as_deref(), Some("y"));
    }

    #[test]
    fn a_result_of_any_size_costs_a_bounded_tree() {
        let many = Tree::of(&vec![1_u16; MAX_NODES + 7]);
        assert_eq!((many.nodes.len(), many.is_cut), (MAX_NODES, true));
        let long = Tree::of(&vec!["x".repeat(MAX_TEXT / 2 + 1); 2]);
        assert!(long.is_cut && long.node(1).text.is_some() && long.node(2).text.is_none());
        struct Deep(usize);
        impl Leaves for Deep {
            fn visit(&self, path: &Path<'_>, visit: &mut graft_core::Visit<'_>) {
                match self.0 {
                    0 => visit(path, Leaf::Bool(true)),
                    left => Deep(left - 1).visit(&path.index(0), visit),
                }
            }
        }
        assert!(Tree::of(&Deep(MAX_DEPTH + 1)).is_cut && !Tree::of(&Deep(MAX_DEPTH)).is_cut);
    }
}
