//! Commits that somebody without the key made anew: each word of one that is not that of the records is named.

use super::Verifier;
use crate::format::{Commit, CommitDigest, Leaf, Mode, Salt, array};
use crate::sample_log::{key, small};
use crate::{Place, TreeHash, What};

/// A change, and whether what was found is what it is called.
type Case = (fn(&mut Commit), fn(&What) -> bool);

#[test]
fn every_word_of_a_commit_is_held_against_the_records() {
    let cases: [Case; 6] = [
        (|commit| commit.size += 1, |what| *what == What::WrongSize { found: 5, expected: 4 }),
        (|commit| commit.count += 1, |what| *what == What::WrongCount { found: 2, expected: 1 }),
        (|commit| commit.last_leaf = Leaf([1; 32]), |what| matches!(what, What::WrongPrevious { .. })),
        (|commit| commit.previous = CommitDigest([1; 32]), |what| *what == What::WrongCommit),
        (|commit| commit.salt = Salt([0; 16]), |what| *what == What::WrongSalt),
        (|commit| commit.root = TreeHash([1; 32]), |what| *what == What::WrongRoot),
    ];
    for (change, is_expected) in cases {
        let mut log = small(1, Mode::Readable);
        // The commit of record 3, the second of the first segment.
        let at = crate::reference::frames(log.files.segment(0))[8].clone();
        let mut commit = Commit::decode(&array(&log.files.segment(0)[at.clone()])).expect("good").commit;
        change(&mut commit);
        log.files.segment(0)[at.clone()].copy_from_slice(&commit.encode(|_| [7; 32]).0);
        for verifier in [Verifier::new(), Verifier::new().key(key(1))] {
            let report = verifier.verify_files(&log.files).expect("reads");
            let found = report.first_bad().expect("it is found");
            assert_eq!((found.place, found.segment, found.offset), (Place::Commit, 0, at.start as u64));
            assert!(is_expected(&found.what), "{found}");
        }
    }
}
