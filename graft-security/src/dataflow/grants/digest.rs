//! Keyed digests of calls and values: what an approval or a grant is bound to.
//!
//! HMAC-SHA256 (RFC 2104) over an encoding in which every part says its kind and its length, so that no two
//! different argument trees have the same bytes. A tree is what [`Leaves`] shows of it: paths, kinds and
//! values. Members of a map count in the order of their keys, whichever order they came in.

use std::fmt;

use graft_core::{Call, Leaf, Leaves, Path, Role, RunId, Segment, ToolMetadata, WeakKey, check_key};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

// Each ends in a zero byte and none has another, so no label is the beginning of another.
const CALL: &[u8] = b"graft-security 0 call\0";
const LEAF: &[u8] = b"graft-security 0 leaf\0";
const VALUE: &[u8] = b"graft-security 0 value\0";
const DESTINATION: &[u8] = b"graft-security 0 destination\0";
const PENDING: &[u8] = b"graft-security 0 pending\0";

/// The host's key for approvals and grants: 32 random bytes. Who has it can approve.
///
/// A host that answers questions after a restart keeps it; any other draws a new one for each run.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct GrantKey([u8; 32]);

impl GrantKey {
    /// Takes 32 random bytes.
    ///
    /// # Errors
    /// [`WeakKey`] for bytes that nobody would draw at random.
    pub fn new(bytes: [u8; 32]) -> Result<Self, WeakKey> {
        check_key(&bytes)?;
        Ok(Self(bytes))
    }

    /// The digest of exactly this call in its run: tool and arguments.
    pub fn call(&self, call: &Call<'_>) -> CallDigest {
        let tree = self.tree(call.args, |_, _| true);
        let mac = sized(self.mac(CALL, call.meta.run), call.tool.name.as_str().as_bytes());
        CallDigest(finish(listed(mac, &tree)))
    }

    /// The digest of one exact value: a leaf's text or a span of it.
    pub(super) fn value(&self, run: RunId, text: &str) -> [u8; 32] {
        finish(sized(self.mac(VALUE, run), text.as_bytes()))
    }

    /// The digest of what `args` say to `tool` about where it goes. None at all is an answer too.
    pub(super) fn destination(
        &self,
        run: RunId,
        tool: &ToolMetadata,
        args: &(dyn Leaves + Sync),
    ) -> [u8; 32] {
        let tree = self.tree(args, |path, leaf| {
            let name = path.first().and_then(Segment::name);
            // As the policy sees it: what has no name could be any argument.
            let role = name.map_or(Role::Destination, |name| tool.role(name));
            let is_name = path.depth() == 1 && matches!(leaf, Leaf::Key(_));
            let is_nothing =
                path.depth() == 0 && matches!(leaf, Leaf::Empty | Leaf::EmptyList | Leaf::EmptyMap);
            role == Role::Destination && !is_name && !is_nothing
        });
        finish(listed(self.mac(DESTINATION, run), &tree))
    }

    /// The seal of a pending approval, over `parts` in order.
    pub(super) fn seal(&self, run: RunId, parts: &[&[u8]]) -> [u8; 32] {
        finish(parts.iter().fold(self.mac(PENDING, run), |mac, part| sized(mac, part)))
    }

    pub(super) fn is_seal(&self, run: RunId, parts: &[&[u8]], seal: &[u8; 32]) -> bool {
        let mac = parts.iter().fold(self.mac(PENDING, run), |mac, part| sized(mac, part));
        mac.verify_slice(seal).is_ok() // in constant time
    }

    /// Path and keyed digest of each leaf that `is_meant`, by path.
    fn tree(
        &self,
        args: &(dyn Leaves + Sync),
        is_meant: impl Fn(&Path<'_>, Leaf<'_>) -> bool,
    ) -> Vec<(Vec<u8>, [u8; 32])> {
        let mut tree = Vec::new();
        args.visit(&Path::ROOT, &mut |path, leaf| {
            if is_meant(path, leaf) {
                let mut steps = Vec::new();
                encode_path(path, &mut steps);
                tree.push((steps, finish(encode_leaf(self.hmac(LEAF), leaf))));
            }
        });
        // Stable: leaves that share a path, such as a key and its value, stay in their order.
        tree.sort_by(|(a, _), (b, _)| a.cmp(b));
        tree
    }

    fn mac(&self, label: &[u8], run: RunId) -> Hmac<Sha256> {
        self.hmac(label).chain_update(run.0)
    }

    fn hmac(&self, label: &[u8]) -> Hmac<Sha256> {
        let Ok(mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes keys of any length")
        };
        mac.chain_update(label)
    }
}

impl fmt::Debug for GrantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GrantKey(..)")
    }
}

/// The keyed digest of one exact call. Says nothing of the call without the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallDigest(pub(super) [u8; 32]);

impl fmt::Display for CallDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CallDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallDigest({self})")
    }
}

fn finish(mac: Hmac<Sha256>) -> [u8; 32] {
    mac.finalize().into_bytes().into()
}

/// A part behind its length.
fn sized(mac: Hmac<Sha256>, part: &[u8]) -> Hmac<Sha256> {
    mac.chain_update((part.len() as u64).to_le_bytes()).chain_update(part)
}

fn listed(mac: Hmac<Sha256>, tree: &[(Vec<u8>, [u8; 32])]) -> Hmac<Sha256> {
    let mac = mac.chain_update((tree.len() as u64).to_le_bytes());
    tree.iter().fold(mac, |mac, (path, leaf)| sized(mac, path).chain_update(leaf))
}

/// Each step behind its kind; a name behind its length, so that a path is never the beginning of another
/// path's bytes by accident. A field and a key of one name are one step: typed and JSON callers agree.
fn encode_path(path: &Path<'_>, out: &mut Vec<u8>) {
    let Some((parent, step)) = path.split_last() else { return };
    encode_path(parent, out);
    match step {
        Segment::Field(name) | Segment::Key(name) => {
            out.push(1);
            out.extend((name.len() as u64).to_le_bytes());
            out.extend(name.as_bytes());
        }
        Segment::Index(index) => {
            out.push(2);
            out.extend((index as u64).to_le_bytes());
        }
    }
}

/// The leaf's kind, then its value: the rest of the input, so it needs no length.
fn encode_leaf(mac: Hmac<Sha256>, leaf: Leaf<'_>) -> Hmac<Sha256> {
    let kind = |kind: u8| mac.chain_update([kind]);
    match leaf {
        Leaf::Str(text) => kind(1).chain_update(text),
        Leaf::Int(number) => kind(2).chain_update(number.to_le_bytes()),
        Leaf::Uint(number) => kind(3).chain_update(number.to_le_bytes()),
        Leaf::Float(number) => kind(4).chain_update(number.to_bits().to_le_bytes()),
        Leaf::Bool(flag) => kind(5).chain_update([u8::from(flag)]),
        Leaf::Bytes(bytes) => kind(6).chain_update(bytes),
        Leaf::Variant(name) => kind(7).chain_update(name),
        Leaf::Key(name) => kind(8).chain_update(name),
        Leaf::Empty => kind(9),
        Leaf::EmptyList => kind(10),
        Leaf::EmptyMap => kind(11),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graft_core::{CallId, Metadata, Name};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, HashMap, HashSet};

    fn key() -> GrantKey {
        GrantKey::new(*b"9xk2;Qf_71zR-mPq0^vLwA83!dYtNe5c").expect("random enough")
    }

    fn digest_of(run: u8, tool: &'static str, args: &(dyn Leaves + Sync)) -> CallDigest {
        let tool = ToolMetadata::new(Name::from_static(tool));
        key().call(&Call::new(&tool, &Metadata::new(RunId([run; 16]), CallId(0)), args))
    }

    /// A tree of its own, so that the test does not rest on how JSON is walked.
    #[derive(Clone, Debug, PartialEq)]
    enum Tree {
        Nothing,
        Flag(bool),
        Int(i64),
        Uint(u64),
        Float(u64),
        Text(String),
        Bytes(Vec<u8>),
        List(Vec<Tree>),
        Map(BTreeMap<String, Tree>),
    }

    impl Leaves for Tree {
        fn visit(&self, path: &Path<'_>, visit: &mut graft_core::Visit<'_>) {
            match self {
                Self::Nothing => visit(path, Leaf::Empty),
                Self::Flag(flag) => flag.visit(path, visit),
                Self::Int(number) => number.visit(path, visit),
                Self::Uint(number) => number.visit(path, visit),
                Self::Float(bits) => visit(path, Leaf::Float(f64::from_bits(*bits))),
                Self::Text(text) => text.visit(path, visit),
                Self::Bytes(bytes) if bytes.is_empty() => visit(path, Leaf::Bytes(&[])),
                Self::Bytes(bytes) => bytes.visit(path, visit),
                Self::List(items) => items.visit(path, visit),
                Self::Map(members) => members.visit(path, visit),
            }
        }
    }

    /// Few different pieces, so that different trees are often alike in all but their shape.
    fn trees() -> impl Strategy<Value = Tree> {
        let leaf = prop_oneof![
            Just(Tree::Nothing),
            any::<bool>().prop_map(Tree::Flag),
            (0..3_i64).prop_map(Tree::Int),
            (0..3_u64).prop_map(Tree::Uint),
            (0..3_u64).prop_map(Tree::Float),
            "[a-b0-2]{0,3}".prop_map(Tree::Text),
            proptest::collection::vec(b'a'..=b'b', 0..3).prop_map(Tree::Bytes),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Tree::List),
                proptest::collection::btree_map("[a-b]{0,2}", inner, 0..4).prop_map(Tree::Map),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn two_calls_have_one_digest_only_if_they_are_the_same(a in trees(), b in trees()) {
            prop_assert_eq!(a == b, digest_of(1, "t", &a) == digest_of(1, "t", &b));
            prop_assert_eq!(digest_of(1, "t", &a), digest_of(1, "t", &a.clone()));
        }
    }

    #[test]
    fn trees_made_to_be_mistaken_for_each_other_are_not() {
        let text = |text: &str| Tree::Text(text.to_owned());
        let map = |members: &[(&str, Tree)]| {
            Tree::Map(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
        };
        let list = |items: &[Tree]| Tree::List(items.to_vec());
        let all = [
            Tree::Nothing,
            list(&[]),
            map(&[]),
            text(""),
            Tree::Bytes(Vec::new()),
            list(&[Tree::Nothing]),
            list(&[list(&[])]),
            text("1"),
            Tree::Int(1),
            Tree::Uint(1),
            Tree::Float(1.0_f64.to_bits()),
            Tree::Float(1),
            Tree::Flag(true),
            Tree::Bytes(b"1".to_vec()),
            list(&[text("ab")]),
            list(&[text("a"), text("b")]),
            list(&[list(&[text("a")]), text("b")]),
            list(&[list(&[text("a"), text("b")])]),
            map(&[("a", text("b"))]),
            map(&[("ab", text(""))]),
            map(&[("", text("ab"))]),
            map(&[("a", map(&[("b", text("c"))]))]),
            map(&[("a", text("b")), ("b", text("a"))]),
            map(&[("a", text("a")), ("b", text("b"))]),
            map(&[("0", text("a"))]),
            list(&[text("a")]),
            Tree::Float((-0.0_f64).to_bits()),
            Tree::Float(0.0_f64.to_bits()),
        ];
        let digests: HashSet<_> = all.iter().map(|tree| digest_of(1, "t", tree)).collect();
        assert_eq!(digests.len(), all.len());
        assert_ne!(digest_of(1, "t", &text("x")), digest_of(2, "t", &text("x")));
        assert_ne!(digest_of(1, "t", &text("x")), digest_of(1, "tt", &text("x")));
    }

    /// A leaf in a struct of structs, whose fields show in the path alone.
    struct Inside(&'static [&'static str]);

    impl Leaves for Inside {
        fn visit(&self, path: &Path<'_>, visit: &mut graft_core::Visit<'_>) {
            match self.0 {
                [] => visit(path, Leaf::Empty),
                [first, rest @ ..] => Inside(rest).visit(&path.field(first), visit),
            }
        }
    }

    #[test]
    fn paths_made_to_be_mistaken_for_each_other_are_not() {
        let all: [&[&str]; 6] =
            [&["a", "b"], &["ab"], &["a\u{1}b"], &["", "ab"], &["ab", ""], &["a", "", "b"]];
        let digests: HashSet<_> = all.into_iter().map(|path| digest_of(1, "t", &Inside(path))).collect();
        assert_eq!(digests.len(), all.len());
    }

    #[test]
    fn the_order_in_which_a_map_is_walked_does_not_count() {
        for _ in 0..20 {
            let names = ["to", "body", "subject", "cc", "bcc"];
            let hashed: HashMap<_, _> = names.iter().map(|name| (*name, "x".to_owned())).collect();
            let sorted: BTreeMap<_, _> = names.iter().map(|name| (*name, "x".to_owned())).collect();
            assert_eq!(digest_of(1, "t", &hashed), digest_of(1, "t", &sorted));
        }
    }

    #[test]
    fn only_what_says_where_it_goes_is_in_the_digest_of_the_destination() {
        let mut tool = ToolMetadata::new(Name::from_static("mail"));
        tool.args.insert("to".into(), Role::Destination);
        let digest = |args: &[(&str, &str)]| {
            let args: BTreeMap<_, _> = args.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
            key().destination(RunId([1; 16]), &tool, &args)
        };
        let ann = digest(&[("to", "ann")]);
        assert_eq!(ann, digest(&[("body", "x"), ("to", "ann")]));
        assert_ne!(ann, digest(&[("to", "eve")]));
        assert_ne!(ann, digest(&[("body", "ann")]));
        assert_eq!(digest(&[]), digest(&[("body", "x")]), "none at all");
    }

    #[test]
    fn a_weak_key_is_refused_and_a_key_is_not_shown() {
        assert!(GrantKey::new([7; 32]).is_err());
        assert_eq!(format!("{:?}", key()), "GrantKey(..)");
    }
}
