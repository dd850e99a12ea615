use std::fs;
use std::path::PathBuf;
use std::sync::Barrier;

use super::*;
use crate::tree::TreeHash;

const LOG: LogId = LogId([0xa7; 16]);

fn at(size: u64) -> Anchored {
    Anchored { log: LOG, head: TreeHead { size, root: TreeHash([size as u8; 32]) } }
}

/// A folder of its own, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("graft-anchor-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("log.anchor")
    }

    fn anchor(&self) -> FileAnchor {
        FileAnchor::new(self.file())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What holds for every anchor.
fn conforms(anchor: &dyn Anchor) {
    assert_eq!(anchor.load(LOG).expect("readable"), None);
    assert!(matches!(anchor.advance(Some(&at(1)), &at(2)), Err(AnchorError::Conflict)));
    anchor.advance(None, &at(5)).expect("the first state");
    assert!(matches!(anchor.advance(None, &at(6)), Err(AnchorError::Conflict)));
    anchor.advance(Some(&at(5)), &at(5)).expect("the same again");
    anchor.advance(Some(&at(5)), &at(9)).expect("a later state");

    let mut fork = at(9);
    fork.head.root = TreeHash([0; 32]);
    let other = Anchored { log: LogId([1; 16]), ..at(10) };
    let large = Anchored { head: TreeHead { size: 1 << 63, ..at(0).head }, ..at(0) };
    assert!(matches!(
        anchor.advance(Some(&at(9)), &at(8)),
        Err(AnchorError::Backwards { kept: 9, given: 8 })
    ));
    assert!(matches!(anchor.advance(Some(&at(9)), &fork), Err(AnchorError::Fork)));
    assert!(matches!(anchor.advance(Some(&fork), &at(12)), Err(AnchorError::Conflict)));
    assert!(matches!(anchor.advance(Some(&at(9)), &other), Err(AnchorError::WrongLog)));
    assert!(matches!(anchor.advance(Some(&at(9)), &large), Err(AnchorError::Malformed)));
    assert!(matches!(anchor.advance(Some(&at(5)), &at(20)), Err(AnchorError::Conflict)));
    assert_eq!(anchor.load(LOG).expect("readable"), Some(at(9)));
}

/// Many threads take the same steps at once: each step is taken by one of them.
fn one_wins(anchors: &[&dyn Anchor]) {
    anchors[0].advance(None, &at(0)).expect("the first state");
    for step in 0..20 {
        let barrier = Barrier::new(anchors.len());
        let won = std::thread::scope(|scope| {
            let tries: Vec<_> = anchors
                .iter()
                .map(|anchor| {
                    scope.spawn(|| {
                        barrier.wait();
                        anchor.advance(Some(&at(step)), &at(step + 1))
                    })
                })
                .collect();
            let ends = tries.into_iter().map(|thread| thread.join().expect("no panic"));
            ends.filter(|end| {
                let lost = matches!(end, Err(AnchorError::Conflict | AnchorError::Locked));
                assert!(lost || end.is_ok(), "{end:?}");
                !lost
            })
            .count()
        });
        assert_eq!(won, 1, "step {step}");
    }
}

#[test]
fn every_anchor_moves_forward_in_single_steps() {
    conforms(&MemoryAnchor::new());
    conforms(&Folder::new("conforms").anchor());
}

#[test]
fn of_two_writers_one_wins() {
    let memory = MemoryAnchor::new();
    one_wins(&[&memory as &dyn Anchor; 4]);
    let folder = Folder::new("race");
    let (one, two) = (folder.anchor(), folder.anchor());
    one_wins(&[&one, &two, &one, &two]);
}

#[test]
fn a_file_is_the_documented_text_for_its_owner_alone() {
    let folder = Folder::new("text");
    folder.anchor().advance(None, &at(5)).expect("the first state");
    // (printf 'graft-audit/anchor@v1\n…\n5\nBQUF…\n' | sha256sum | xxd -r -p | base64)
    let text = fs::read_to_string(folder.file()).expect("a file");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "graft-audit/anchor@v1",
            "a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7",
            "5",
            "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=",
        ]
    );
    assert_eq!((lines.len(), lines[4].len()), (5, 44));
    #[cfg(unix)]
    for name in ["log.anchor", "log.anchor.lock"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(folder.0.join(name)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_changed_file_is_never_taken_for_none_or_for_another_state() {
    let folder = Folder::new("hostile");
    let anchor = folder.anchor();
    anchor.advance(None, &at(5)).expect("the first state");
    let good = fs::read(folder.file()).expect("a file");
    let refused = |bytes: &[u8]| {
        fs::write(folder.file(), bytes).expect("writable");
        let moved = anchor.advance(None, &at(6)).is_err() && anchor.advance(Some(&at(5)), &at(6)).is_err();
        moved && matches!(anchor.load(LOG), Err(AnchorError::Malformed))
    };
    for cut in 0..good.len() {
        assert!(refused(&good[..cut]), "cut at {cut}");
    }
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        assert!(refused(&bytes), "byte {at}");
    }
    for (what, bytes) in [
        ("bytes behind", [&good[..], b"\n"].concat()),
        ("long", good.repeat(10_000)),
        ("not text", vec![0xff; 100]),
        ("capital hex", String::from_utf8_lossy(&good).replace('a', "A").into_bytes()),
    ] {
        assert!(refused(&bytes), "{what}");
    }
    fs::write(folder.file(), &good).expect("writable");
    assert_eq!(anchor.load(LOG).expect("readable"), Some(at(5)));
    assert!(matches!(anchor.load(LogId([1; 16])), Err(AnchorError::WrongLog)));
}

#[test]
fn what_a_crash_left_does_not_stop_the_next_step() {
    let folder = Folder::new("crash");
    folder.anchor().advance(None, &at(5)).expect("the first state");
    fs::write(folder.0.join("log.anchor.new"), b"graft-audit/anch").expect("writable");
    assert_eq!(folder.anchor().load(LOG).expect("readable"), Some(at(5)));
    folder.anchor().advance(Some(&at(5)), &at(6)).expect("a later state");
    assert_eq!(folder.anchor().load(LOG).expect("readable"), Some(at(6)));
    assert!(!folder.0.join("log.anchor.new").exists());
}

#[test]
fn while_one_moves_it_another_is_told_to_wait() {
    let folder = Folder::new("lock");
    folder.anchor().advance(None, &at(5)).expect("the first state");
    let lock = fs::File::open(folder.0.join("log.anchor.lock")).expect("a file");
    lock.try_lock().expect("free");
    assert!(matches!(folder.anchor().advance(Some(&at(5)), &at(6)), Err(AnchorError::Locked)));
    drop(lock);
    folder.anchor().advance(Some(&at(5)), &at(6)).expect("a later state");
}

#[test]
fn no_folder_is_an_error_and_not_a_new_anchor() {
    let folder = Folder::new("missing");
    let anchor = FileAnchor::new(folder.0.join("none/log.anchor"));
    assert!(matches!(anchor.advance(None, &at(5)), Err(AnchorError::Io(_))));
    assert_eq!(format!("{anchor:?}"), "FileAnchor");
}
