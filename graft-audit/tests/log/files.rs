//! Logs as files: what opening, locking, closing and recovering do to them.

use std::fs;

use graft_audit::v0::{
    AuditError, AuditKey, AuditLog, Break, Durability, LogOptions, Place, State, What, read, verify,
};
use graft_core::{Recorder, Seq};

use crate::common::{FILE_HEADER, Folder, append, event, key, other_key};
use crate::reference::{bare, chain, frames};

fn state(folder: &Folder) -> (u64, State) {
    let file = fs::File::open(folder.log()).expect("opens");
    let report = verify(file, &key()).expect("reads").ensure_intact().expect("intact");
    (report.records, report.state)
}

#[test]
fn a_closed_log_goes_on_behind_its_close_and_an_unclosed_one_behind_its_last_record() {
    let folder = Folder::new("goes-on");
    let log = AuditLog::create(folder.log(), &key()).expect("creates");
    append(&log, 0..2);
    let leaf = log.close().expect("closes");
    assert_eq!(state(&folder), (2, State::Closed));

    let log = AuditLog::open(folder.log(), &key()).expect("opens");
    assert_ne!(log.last_leaf(), leaf);
    assert_eq!(log.append(&event(2)).expect("appends"), Seq(2));
    drop(log);
    assert_eq!(state(&folder), (3, State::Open));

    let log = AuditLog::open(folder.log(), &key()).expect("opens");
    assert_eq!(log.record(&event(3)), Ok(Seq(3)));
    assert_eq!(log.recovered(), None);
    log.close().expect("closes");
    assert_eq!(state(&folder), (4, State::Closed));
    let events: Vec<_> = read(fs::File::open(folder.log()).expect("opens"), &key())
        .map(|stored| stored.expect("verifies").event)
        .collect();
    assert_eq!(events, [0, 1, 2, 3].map(event));
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let folder = Folder::new("lock");
    let first = AuditLog::create(folder.log(), &key()).expect("creates");
    assert!(matches!(AuditLog::open(folder.log(), &key()), Err(AuditError::Locked)));
    append(&first, 0..1);
    // Readers need no lock.
    assert_eq!(state(&folder), (1, State::Open));
    drop(first);
    assert!(AuditLog::open(folder.log(), &key()).is_ok());
}

#[test]
fn missing_existing_empty_and_foreign_files_are_told_apart() {
    let folder = Folder::new("files");
    let open = || AuditLog::open(folder.log(), &key()).map(drop);
    assert!(matches!(open(), Err(AuditError::Missing)));
    fs::write(folder.log(), b"").expect("writes");
    let short = |result: Result<(), AuditError>, what: What| matches!(result, Err(AuditError::Broken(Break { place: Place::FileHeader, what: w, .. })) if w == what);
    assert!(short(open(), What::ShortFileHeader { found: 0 }));
    assert!(matches!(AuditLog::create(folder.log(), &key()), Err(AuditError::Exists)));
    fs::write(folder.log(), "{\"json\": true}").expect("writes");
    assert!(short(open(), What::NotALog));
    assert_eq!(
        fs::read(folder.log()).expect("reads"),
        b"{\"json\": true}",
        "a foreign file is left as it is"
    );
    fs::remove_file(folder.log()).expect("removes");
    fs::create_dir(folder.log()).expect("creates");
    assert!(matches!(open(), Err(AuditError::Io(_))));
}

#[test]
fn a_wrong_key_leaves_the_file_as_it_is() {
    let folder = Folder::new("wrong-key");
    append(&AuditLog::create(folder.log(), &key()).expect("creates"), 0..2);
    let before = fs::read(folder.log()).expect("reads");
    assert!(matches!(AuditLog::open(folder.log(), &other_key()), Err(AuditError::WrongKey)));
    assert_eq!(fs::read(folder.log()).expect("reads"), before);
}

#[test]
fn a_torn_tail_is_moved_next_to_the_log_and_reported() {
    let folder = Folder::new("torn");
    let log = AuditLog::create(folder.log(), &key()).expect("creates");
    append(&log, 0..2);
    drop(log);
    let whole = fs::read(folder.log()).expect("reads");
    for (names, torn) in [(1, &whole[263..300]), (1, &whole[263..300]), (2, b"other bytes")] {
        fs::write(folder.log(), [&whole[..], torn].concat()).expect("writes");
        let log = AuditLog::open(folder.log(), &key()).expect("opens");
        let recovered = log.recovered().expect("a tail");
        assert_eq!((recovered.offset, recovered.bytes), (whole.len() as u64, torn.len() as u64));
        assert_eq!(log.append(&event(2)).expect("appends"), Seq(2));
        drop(log);
        assert_eq!(state(&folder), (3, State::Open));
        // The same tail is kept once, another one beside it.
        let tails = &folder.names()[1..];
        assert_eq!(tails.len(), names);
        let last = folder.log().with_file_name(&tails[names - 1]);
        assert!(tails[0].ends_with(&format!(".torn-{}", whole.len())));
        assert_eq!(fs::read(last).expect("reads"), torn);
    }
}

#[test]
fn damage_before_the_end_is_refused_and_left_as_it_is() {
    let folder = Folder::new("damage");
    append(&AuditLog::create(folder.log(), &key()).expect("creates"), 0..3);
    let mut bytes = fs::read(folder.log()).expect("reads");
    bytes[263 + 90] ^= 1;
    fs::write(folder.log(), &bytes).expect("writes");
    let Err(AuditError::Broken(found)) = AuditLog::open(folder.log(), &key()) else { unreachable!() };
    assert_eq!((found.place, found.offset, found.what), (Place::Record(0), 263, What::DamagedBody));
    assert_eq!(fs::read(folder.log()).expect("reads"), bytes);
    assert_eq!(folder.names().len(), 1);
}

#[test]
fn a_whole_last_frame_that_does_not_belong_is_refused_and_not_taken_for_a_torn_one() {
    let folder = Folder::new("whole");
    append(&AuditLog::create(folder.log(), &key()).expect("creates"), 0..2);
    let log = fs::read(folder.log()).expect("reads");
    let last = frames(&log)[2].clone();
    let repeated = [&log[..], &log[last]].concat();
    let mut resealed = bare(&log);
    resealed[2].payload[0] ^= 1;
    let (resealed, _) = chain(&log[..FILE_HEADER], &resealed);
    let what = |bytes: &[u8]| {
        fs::write(folder.log(), bytes).expect("writes");
        let Err(AuditError::Broken(found)) = AuditLog::open(folder.log(), &key()) else { unreachable!() };
        assert_eq!(fs::read(folder.log()).expect("reads"), bytes);
        found.what
    };
    assert_eq!(what(&repeated), What::OutOfOrder { found: 1, expected: 2 });
    assert_eq!(what(&resealed), What::Forged);
}

#[test]
fn threads_share_a_log_and_no_number_is_given_twice() {
    let folder = Folder::new("threads");
    let log =
        LogOptions::new().durability(Durability::Buffered).create(folder.log(), &key()).expect("creates");
    let mut numbers: Vec<_> = std::thread::scope(|scope| {
        let append_50 = || (0..50).map(|n| log.append(&event(n)).expect("appends")).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(append_50)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("ends")).collect()
    });
    numbers.sort();
    assert_eq!(numbers, (0..200).map(Seq).collect::<Vec<_>>());
    log.flush().expect("flushes");
    assert_eq!(state(&folder), (200, State::Open));
}

#[test]
fn neither_log_nor_key_shows_what_it_holds_when_printed() {
    let folder = Folder::new("debug");
    let log = AuditLog::create(folder.log(), &key()).expect("creates");
    append(&log, 0..2);
    let bytes = fs::read(folder.log()).expect("reads");
    let clear = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    assert!(clear(b"graftlog") && !clear(b"agent:7") && !clear(b"send_money"));
    let secret: [u8; 4] = key().expose_secret()[..4].try_into().expect("four bytes");
    assert!(!clear(&secret));
    assert!(format!("{log:?}").starts_with("AuditLog { last_leaf: Leaf("));
    assert_eq!(format!("{:?}", key()), "AuditKey(redacted)");
    assert!(AuditKey::new("password").is_err());
}

#[cfg(unix)]
#[test]
fn log_and_quarantine_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("mode");
    drop(AuditLog::create(folder.log(), &key()).expect("creates"));
    let whole = fs::read(folder.log()).expect("reads");
    fs::write(folder.log(), [&whole[..], b"torn"].concat()).expect("writes");
    drop(AuditLog::open(folder.log(), &key()).expect("opens"));
    for name in folder.names() {
        let mode = fs::metadata(folder.log().with_file_name(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
