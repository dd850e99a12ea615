use std::collections::BTreeMap;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use proptest::prelude::*;
use sha2::Sha256;

use super::reference::Defined;
use super::*;

fn grown(leaves: &[Leaf]) -> Frontier {
    let mut frontier = Frontier::new();
    leaves.iter().for_each(|leaf| frontier.push(*leaf));
    frontier
}

/// What a writer leaves behind: the streams of the tiers, with the leaves as tier 0, and a count of reads.
#[derive(Clone, Default)]
struct Streams {
    tiers: Vec<Vec<TreeHash>>,
    first_leaf: usize,
    reads: BTreeMap<u8, usize>,
}

impl Streams {
    fn of(leaves: &[Leaf]) -> Self {
        let mut tiers = vec![Vec::new(); usize::from(MAX_TIER) + 1];
        let mut frontier = Frontier::new();
        for leaf in leaves {
            tiers[0].push(TreeHash::from(*leaf));
            frontier.push_tiers(*leaf, |entry| {
                let stream = &mut tiers[usize::from(entry.tier)];
                assert_eq!(entry.index, stream.len() as u64);
                stream.push(entry.hash);
            });
        }
        Self { tiers, ..Self::default() }
    }
}

impl TierSource for &mut Streams {
    type Error = &'static str;

    fn read(&mut self, tier: u8, first: u64, entries: &mut [TreeHash]) -> Result<(), Self::Error> {
        let first = usize::try_from(first).expect("small");
        assert!(entries.len() <= TIER_WIDTH);
        if tier == 0 && first < self.first_leaf {
            return Err("read a pruned leaf");
        }
        *self.reads.entry(tier).or_default() += 1;
        let stored = self.tiers[usize::from(tier)].get(first..first + entries.len()).ok_or("past the end")?;
        entries.copy_from_slice(stored);
        Ok(())
    }
}

// Leaves and roots of the tests of Certificate Transparency's first implementation
// (google/certificate-transparency, `cpp/merkletree/merkle_tree_test.cc`), since copied by most others.
const CT_LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];
const CT_ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn roots_and_proofs_are_those_of_certificate_transparency() {
    let leaves = CT_LEAVES.map(Leaf::of);
    let mut frontier = Frontier::new();
    for (size, known) in CT_ROOTS.iter().enumerate() {
        assert_eq!(frontier.root().to_string(), *known, "{size} leaves");
        leaves.get(size).into_iter().for_each(|leaf| frontier.push(*leaf));
    }
    let strings = |hashes: Vec<TreeHash>| hashes.iter().map(TreeHash::to_string).collect::<Vec<_>>();
    let path = prove_inclusion(&mut leaves.as_slice(), 5, 8).expect("a leaf of the tree");
    assert_eq!(
        strings(path),
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
    let proof = prove_consistency(&mut leaves.as_slice(), 6, 8).expect("an earlier tree");
    assert_eq!(
        strings(proof),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
}

/// The same trees from the definitions, over tiers, and by the crate ct-merkle.
fn compare(defined: &Defined, sizes: impl Iterator<Item = usize>, at: impl Fn(usize) -> Vec<usize>) {
    let mut oracle = MemoryBackedTree::<Sha256, [u8; 8]>::new();
    let mut streams = Streams::of(&defined.leaves);
    for size in sizes {
        (oracle.len()..size as u64).for_each(|n| oracle.push(n.to_be_bytes()));
        let new = defined.head(size);
        let theirs = RootHash::<Sha256>::new(new.root.0.into(), new.size);
        assert_eq!(oracle.root(), theirs);
        assert_eq!(grown(&defined.leaves[..size]).head(), new);
        let mut tiers = Tiers::new(&mut streams, new.size);
        assert_eq!(root(&mut tiers, new.size), Ok(new.root));
        for m in at(size) {
            if m < size {
                let known = defined.path(m, size);
                assert_eq!(prove_inclusion(&mut tiers, m as u64, new.size), Ok(known.clone()));
                assert_eq!(verify_inclusion(defined.leaves[m], m as u64, &new, &known), Ok(()));
                assert_eq!(oracle.prove_inclusion(m).as_bytes(), bytes(&known));
                let proof = InclusionProof::try_from_bytes(bytes(&known)).expect("whole digests");
                assert!(theirs.verify_inclusion(&(m as u64).to_be_bytes(), m as u64, &proof).is_ok());
            }
            let (old, known) = (defined.head(m), defined.proof(m, size));
            assert_eq!(prove_consistency(&mut tiers, old.size, new.size), Ok(known.clone()));
            assert_eq!(verify_consistency(&old, &new, &known), Ok(()), "{m} of {size}");
            if 0 < m && m < size {
                assert_eq!(oracle.prove_consistency(size - m).as_bytes(), bytes(&known));
                let proof = ConsistencyProof::try_from_bytes(bytes(&known)).expect("whole digests");
                let theirs_old = RootHash::new(old.root.0.into(), old.size);
                assert!(theirs.verify_consistency(&theirs_old, &proof).is_ok());
            }
        }
    }
}

fn bytes(hashes: &[TreeHash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

#[test]
fn every_tree_of_up_to_130_leaves_is_as_defined() {
    compare(&Defined::counting(130), 0..=130, |size| (0..=size).collect());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn trees_of_thousands_of_leaves_are_as_defined(size in 1_usize..5000, at in any::<[prop::sample::Index; 6]>()) {
        compare(&Defined::counting(size), std::iter::once(size), |size| at.iter().map(|at| at.index(size + 1)).collect());
    }

    #[test]
    fn what_is_left_of_a_pruned_log_is_proved(
        size in 1_usize..2500, pruned in any::<prop::sample::Index>(), at in any::<[prop::sample::Index; 8]>()
    ) {
        let defined = Defined::counting(size);
        let all = &defined.leaves;
        let pruned = pruned.index(size);
        let mut streams = Streams::of(all);
        streams.first_leaf = pruned;
        let mut tiers = Tiers::pruned(&mut streams, size as u64, grown(&all[..pruned]));
        for at in at {
            let m = pruned + at.index(size - pruned);
            prop_assert_eq!(prove_inclusion(&mut tiers, m as u64, size as u64), Ok(defined.path(m, size)));
            prop_assert_eq!(prove_consistency(&mut tiers, m as u64, size as u64), Ok(defined.proof(m, size)));
        }
        for index in 0..size as u64 / 32 {
            let node = Node::new(5, index).expect("in the tree");
            if node.end() > pruned as u64 {
                prop_assert_eq!(tiers.entry_from_below(1, index), tiers.subtree(node));
            }
        }
        for leaf in 0..pruned.min(64) {
            match prove_inclusion(&mut tiers, leaf as u64, size as u64) {
                // A leaf whose sibling is kept, or the first behind it, can still be proved.
                Ok(hashes) => prop_assert_eq!(hashes, defined.path(leaf, size)),
                Err(error) => prop_assert!(matches!(error, ProveError::Pruned { .. }), "{error:?}"),
            }
        }
    }

}

proptest! {
    #[test]
    fn no_proof_passes_with_anything_changed(
        size in 2_usize..300, at in any::<prop::sample::Index>(), change in 0..8_u8, byte in any::<prop::sample::Index>()
    ) {
        let defined = Defined::counting(size);
        let m = at.index(size - 1) + 1;
        let (old, new) = (defined.head(m), defined.head(size));
        for inclusion in [true, false] {
            let known = if inclusion { defined.path(m, size) } else { defined.proof(m, size) };
            let (mut hashes, mut leaf, mut index, mut old, mut new) = (known.clone(), defined.leaves[m], m as u64, old, new);
            match change {
                0 => hashes.push(TreeHash::EMPTY),
                1 => drop(hashes.pop()),
                2 => drop((!hashes.is_empty()).then(|| hashes.remove(0))),
                3 => {
                    let mut bytes = bytes(&hashes);
                    if let Some(at) = (!bytes.is_empty()).then(|| byte.index(bytes.len())) {
                        bytes[at] ^= 1;
                    }
                    hashes = bytes.chunks_exact(32).map(|hash| TreeHash(crate::format::array(hash))).collect();
                }
                4 => hashes.reverse(),
                5 => new.root.0[byte.index(32)] ^= 0x80,
                6 => {
                    leaf.0[byte.index(32)] ^= 1;
                    old.root.0[byte.index(32)] ^= 1;
                }
                _ => {
                    index ^= 1;
                    old.size -= 1;
                }
            }
            // An empty proof and one that reads the same backwards are not changed by some of these.
            if hashes == known && change < 5 {
                continue;
            }
            let verdict = if inclusion {
                verify_inclusion(leaf, index, &new, &hashes)
            } else if change == 7 && old.size == 0 {
                verify_consistency(&old, &new, &hashes).and(Err(ProofError::Fork))
            } else {
                verify_consistency(&old, &new, &hashes)
            };
            prop_assert!(verdict.is_err(), "change {change}, inclusion {inclusion}, {m} of {size}");
        }
    }

    #[test]
    fn hostile_sizes_and_lengths_are_refused_without_panic(
        a in any::<u64>(), b in any::<u64>(), shift in 0..64_u32, count in 0..130_usize
    ) {
        let hashes = vec![TreeHash([7; 32]); count];
        let (old, new) = (a >> shift, b >> (shift / 2));
        for (old, new) in [(old, new), (new, old), (u64::MAX, u64::MAX), (1 << 63, u64::MAX), (old, u64::MAX)] {
            let [old, new] = [old, new].map(|size| TreeHead { size, root: TreeHash([9; 32]) });
            if verify_consistency(&old, &new, &hashes).is_ok() {
                prop_assert!(old == new && hashes.is_empty());
            }
            prop_assert!(verify_inclusion(Leaf([1; 32]), old.size, &new, &hashes).is_err());
        }
        prop_assert!(Frontier::restore(a, &hashes).is_err() || a.count_ones() as usize == count);
    }
}

#[test]
fn a_proof_of_another_length_is_refused_even_if_its_hashes_lead_to_the_root() {
    let extra = TreeHash([5; 32]);
    for size in 1..20 {
        let defined = Defined::counting(size);
        let new = defined.head(size);
        let above = TreeHead { root: TreeHash::node(&extra, &new.root), ..new };
        let length = |proof: &[TreeHash]| Err(ProofError::WrongLength { found: proof.len() });
        for m in 0..size {
            let mut path = defined.path(m, size);
            let leaf = defined.leaves[m];
            let past = ProofError::PastEnd { index: size as u64, size: size as u64 };
            assert_eq!(verify_inclusion(leaf, size as u64, &new, &path), Err(past));
            path.push(extra);
            assert_eq!(verify_inclusion(leaf, m as u64, &above, &path), length(&path), "{m} of {size}");
            path.truncate(path.len().saturating_sub(2));
            if size > 1 {
                assert_eq!(verify_inclusion(leaf, m as u64, &new, &path), length(&path), "{m} of {size}");
            }
        }
        for m in 1..size {
            let (old, mut proof) = (defined.head(m), defined.proof(m, size));
            let old_above = TreeHead { root: TreeHash::node(&extra, &old.root), ..old };
            proof.push(extra);
            for old in [&old, &old_above] {
                assert_eq!(verify_consistency(old, &above, &proof), length(&proof), "{m} of {size}");
            }
            proof.truncate(proof.len() - 2);
            assert_eq!(verify_consistency(&old, &new, &proof), length(&proof), "{m} of {size}");
        }
    }
}

#[test]
fn a_tree_without_leaves_has_one_root() {
    let odd = TreeHead { size: 0, root: TreeHash([1; 32]) };
    let grown = Defined::counting(3).head(3);
    assert_eq!(TreeHead::EMPTY, Defined::counting(0).head(0));
    for (old, new) in [(odd, grown), (odd, odd), (odd, TreeHead::EMPTY), (TreeHead::EMPTY, odd)] {
        assert_eq!(verify_consistency(&old, &new, &[]), Err(ProofError::Fork));
    }
    for new in [TreeHead::EMPTY, grown] {
        assert_eq!(verify_consistency(&TreeHead::EMPTY, &new, &[]), Ok(()));
        let extra = [TreeHash::EMPTY];
        let length = Err(ProofError::WrongLength { found: 1 });
        assert_eq!(verify_consistency(&TreeHead::EMPTY, &new, &extra), length);
    }
}

#[test]
fn a_frontier_is_restored_from_what_it_keeps_and_nothing_else() {
    let all = Defined::counting(77).leaves;
    let mut early = grown(&all[..70]);
    assert_eq!(Frontier::restore(70, early.hashes()), Ok(early.clone()));
    all[70..].iter().for_each(|leaf| early.push(*leaf));
    assert_eq!(early, grown(&all));

    let wrong = |size, found| Err(WrongCount { size, found });
    assert_eq!(Frontier::restore(70, &early.hashes()[..2]), wrong(70, 2));
    assert_eq!(Frontier::restore(0, &[TreeHash::EMPTY]), wrong(0, 1));
    assert_eq!(Frontier::restore(1 << 63, &[TreeHash::EMPTY]), wrong(1 << 63, 1));
    assert!(Frontier::restore(MAX_TREE_SIZE, &[TreeHash::EMPTY; 63]).is_ok());
}

#[test]
fn a_proof_reads_no_more_than_the_height_of_the_tree() {
    let all = Defined::counting(40_000).leaves;
    let mut streams = Streams::of(&all);
    let worst = |reads: &mut BTreeMap<u8, usize>| std::mem::take(reads).values().sum::<usize>();
    for m in (0..40_000).step_by(997) {
        prove_inclusion(&mut Tiers::new(&mut streams, 40_000), m, 40_000).expect("a leaf of the tree");
        assert!(worst(&mut streams.reads) <= 2 * 16, "leaf {m}");
        prove_consistency(&mut Tiers::new(&mut streams, 40_000), m, 40_000).expect("an earlier tree");
        assert!(worst(&mut streams.reads) <= 3 * 16, "size {m}");
    }
    assert_eq!(streams.tiers.iter().map(Vec::len).collect::<Vec<_>>()[..5], [40_000, 1250, 39, 1, 0]);
    for (tier, index) in [(1, 1249), (2, 38), (3, 0)] {
        let known = streams.tiers[usize::from(tier)][index as usize];
        assert_eq!(Tiers::new(&mut streams, 40_000).entry_from_below(tier, index), Ok(known));
    }
    for (tier, index) in [(0, 0), (1, 1250), (3, 1), (13, 0), (255, u64::MAX)] {
        let entry = Tiers::new(&mut streams, 40_000).entry_from_below(tier, index);
        assert!(matches!(entry, Err(ProveError::PastEnd { .. })), "{entry:?}");
    }
}

#[test]
fn questions_past_the_tree_are_refused() {
    let all = Defined::counting(9).leaves;
    let mut streams = Streams::of(&all);
    let mut tiers = Tiers::new(&mut streams, 9);
    fn past<T>(size: u64, end: u64) -> Result<T, ProveError<&'static str>> {
        Err(ProveError::PastEnd { size, end })
    }
    assert_eq!(prove_inclusion(&mut tiers, 9, 9), past(9, 10));
    assert_eq!(prove_inclusion(&mut tiers, u64::MAX, 9), past(9, u64::MAX));
    assert_eq!(prove_consistency(&mut tiers, 10, 9), past(9, 10));
    assert_eq!(prove_inclusion(&mut tiers, 0, 12), past(9, 12));
    assert_eq!(root(&mut tiers, 1 << 62), past(9, 1 << 62));
    for size in [1 << 63, u64::MAX] {
        assert_eq!(root(&mut tiers, size), past(MAX_TREE_SIZE, size));
        assert!(prove_inclusion(&mut tiers, 0, size).is_err());
        assert!(prove_consistency(&mut tiers, 3, size).is_err());
    }
    assert!(prove_inclusion(&mut all.as_slice(), 3, 10).is_err());
    assert!(prove_inclusion(&mut all.as_slice(), 1 << 62, u64::MAX).is_err());
    assert_eq!([Node::new(63, 0), Node::new(64, 0), Node::new(0, u64::MAX), Node::new(62, 1)], [None; 4]);
}
