//! The log on a real folder: many threads, tasks and processes at once.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use graft_audit::{
    AnchorError, AuditError, AuditKey, AuditSigner, FileAnchor, Files, RecordProofError, UnverifiedBundle,
    UnverifiedCheckpoint, Verifier, VerifyReport, prove_record,
};
use graft_audit::{AuditLog, Durability, LogOptions};
use graft_core::{Action, Ending, Event, Name, Seq, Timestamp};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("graft-audit-{name}-{}", std::process::id()));
        _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

fn key() -> AuditKey {
    AuditKey::new(std::array::from_fn::<u8, 32, _>(|i| (i * i + 3) as u8)).expect("strong")
}

fn event() -> Event {
    let me = Name::from_static("agent:7");
    Event::new(Timestamp(1), me.clone(), Action::RunBegin, me, Ending::Ok)
}

#[test]
fn many_writers_get_every_sequence_once_and_the_disk_has_what_they_were_told() {
    let folder = Folder::new("many");
    let log = Arc::new(LogOptions::new().segment_bytes(40_000).create(&folder.0, &key()).expect("creates"));
    let writers: Vec<_> = (0..16)
        .map(|n| {
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                let durability = [Durability::Fsync, Durability::Buffered, Durability::Memory][n % 3];
                let append = |_| {
                    let seq = log.append_with(&event(), durability).expect("appends");
                    assert!(durability != Durability::Fsync || log.durable() > seq);
                    seq
                };
                (0..100).map(append).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut all: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().expect("joins")).collect();
    all.sort_unstable();
    log.flush().expect("flushes");
    let head = log.head();
    all.dedup();
    assert_eq!(all.len(), 1600);
    assert!(all[1599].0 < head.size);
    drop(log);
    let log = AuditLog::open(&folder.0, &key()).expect("opens");
    assert_eq!((log.head(), log.recovered()), (head, &[][..]));
    let report = verified(&folder);
    assert_eq!((report.records(), report.last_leaf), (head.size, head.last_leaf));
}

fn verified(folder: &Folder) -> VerifyReport {
    let report = Verifier::new().key(key()).threads(2).verify(&folder.0).expect("reads");
    report.ensure_intact().expect("intact")
}

#[test]
fn verifying_beside_appending_sees_a_whole_log_that_grows() {
    let folder = Folder::new("verify");
    let log = LogOptions::new().segment_bytes(20_000).create(&folder.0, &key()).expect("creates");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                log.append(&event()).expect("appends");
            }
        });
        let mut records = 0;
        for _ in 0..20 {
            let durable = log.durable().0;
            let found = verified(&folder).records();
            assert!(found >= durable && found >= records, "{found} of {durable}");
            records = found;
        }
        done.store(true, Ordering::SeqCst);
        writer.join().expect("joins");
    });
}

#[test]
fn a_record_that_nobody_waits_for_gets_to_the_disk_by_itself() {
    let folder = Folder::new("linger");
    let log = AuditLog::create(&folder.0, &key()).expect("creates");
    let memory = log.append_with(&event(), Durability::Memory).expect("appends");
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(log.durable(), Seq(0), "nobody asked for it");
    let buffered = log.submit(&event()).expect("appends");
    let begun = Instant::now();
    while log.durable() <= buffered {
        assert!(begun.elapsed() < Duration::from_secs(20), "it lingers for 10 ms");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(memory < buffered);
}

#[test]
fn tasks_wait_without_a_thread_of_their_own() {
    let folder = Folder::new("tasks");
    let log = AuditLog::create(&folder.0, &key()).expect("creates");
    futures::executor::block_on(async {
        let seqs: Vec<_> = (0..50).map(|_| log.submit(&event()).expect("appends")).collect();
        let all = seqs.iter().rev().map(|seq| log.until_durable(*seq));
        for done in futures::future::join_all(all).await {
            done.expect("is durable");
        }
        assert!(log.durable() > seqs[49]);
    });
    assert!(matches!(log.wait_durable(Seq(50)), Err(AuditError::NoRecord)));
}

#[test]
fn pruning_and_rotating_beside_appending_disturb_nobody() {
    let folder = Folder::new("prune");
    let log = Arc::new(LogOptions::new().segment_bytes(20_000).create(&folder.0, &key()).expect("creates"));
    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (log, done) = (Arc::clone(&log), Arc::clone(&done));
        std::thread::spawn(move || {
            let mut appended = 0;
            while !done.load(Ordering::SeqCst) || appended < 300 {
                log.append(&event()).expect("appends");
                appended += 1;
            }
        })
    };
    let mut removed = 0;
    let begun = Instant::now();
    while removed < 5 {
        assert!(begun.elapsed() < Duration::from_secs(60), "segments end and are removed");
        let pruned = log.prune(log.durable()).expect("prunes");
        assert!(pruned.first <= log.durable());
        removed += pruned.segments;
        log.rotate().expect("rotates");
    }
    done.store(true, Ordering::SeqCst);
    writer.join().expect("joins");
    let head = log.head();
    drop(log);
    assert!(AuditLog::open(&folder.0, &key()).expect("opens").head().size >= head.size);
}

#[test]
fn an_old_copy_that_is_put_back_does_not_open_with_the_anchor() {
    let (folder, copy, elsewhere) = (Folder::new("old"), Folder::new("copy"), Folder::new("anchor"));
    std::fs::create_dir_all(&elsewhere.0).expect("makes");
    let options = || LogOptions::new().anchor(Arc::new(FileAnchor::new(elsewhere.0.join("anchor"))));
    let log = options().create(&folder.0, &key()).expect("creates");
    log.append(&event()).expect("appends");
    log.checkpoint().expect("anchors");
    std::fs::create_dir_all(&copy.0).expect("makes");
    for name in ["0000000000.seg", "lock"] {
        std::fs::copy(folder.0.join(name), copy.0.join(name)).expect("copies");
    }
    log.append(&event()).expect("appends");
    log.close().expect("closes");
    options().open(&folder.0, &key()).expect("extends its anchor").append(&event()).expect("appends");

    let refused = options().open(&copy.0, &key()).expect_err("is refused");
    assert!(
        matches!(refused, AuditError::Anchor(AnchorError::Backwards { kept: 3, given: 1 })),
        "{refused:?}"
    );
    // A history of its own, as long as the anchored one, is no better; without the anchor nothing is to be seen.
    let log = AuditLog::open(&copy.0, &key()).expect("opens");
    (0..9).for_each(|_| _ = log.append(&event()).expect("appends"));
    drop(log);
    let refused = options().open(&copy.0, &key()).expect_err("is refused");
    assert!(matches!(refused, AuditError::Anchor(AnchorError::Fork)), "{refused:?}");
}

/// The role of this program when the tests below start it again.
const ROLE: &str = "GRAFT_AUDIT_TEST_FOLDER";

/// Appends until it is killed, and says after each record how many the disk has. A test only when it is asked to be.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(ROLE) else { return };
    let options = LogOptions::new().segment_bytes(30_000);
    let log = match options.open(&folder, &key()) {
        Err(AuditError::Missing) => options.create(&folder, &key()),
        opened => opened,
    };
    let log = match log {
        Ok(log) => log,
        Err(error) => {
            println!("refused {error:?}");
            return;
        }
    };
    for n in 0_u64.. {
        if n % 7 == 3 {
            log.append_with(&event(), Durability::Memory).expect("appends");
        }
        if n % 40 == 39 {
            log.rotate().expect("rotates");
        }
        let seq = log.append(&event()).expect("appends");
        println!("durable {}", seq.0);
    }
}

fn start(folder: &Folder) -> std::process::Child {
    let this = std::env::current_exe().expect("this program");
    let mut command = Command::new(this);
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]).env(ROLE, &folder.0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().expect("starts")
}

/// Lines of a child until one says more than `enough` records, or it ends.
fn told(child: &mut std::process::Child, enough: u64) -> (Option<u64>, Vec<String>) {
    use std::io::{BufRead, BufReader};
    let (mut last, mut others) = (None, Vec::new());
    let Some(output) = &mut child.stdout else { return (last, others) };
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        match line.strip_prefix("durable ").and_then(|seq| seq.parse::<u64>().ok()) {
            Some(seq) => last = Some(seq),
            None => others.push(line),
        }
        if last.is_some_and(|last| last >= enough) {
            break;
        }
    }
    (last, others)
}

#[test]
fn a_second_process_is_refused_until_the_first_is_gone() {
    let folder = Folder::new("two");
    let mut child = start(&folder);
    assert!(told(&mut child, 5).0.is_some(), "it writes");
    assert!(matches!(AuditLog::open(&folder.0, &key()), Err(AuditError::Locked)));
    assert!(matches!(AuditLog::create(&folder.0, &key()), Err(AuditError::Locked)));
    child.kill().expect("kills");
    child.wait().expect("waits");
    let log = AuditLog::open(&folder.0, &key()).expect("opens");
    assert!(log.head().size > 5);
    let mut second = start(&folder);
    let (wrote, said) = told(&mut second, 0);
    second.wait().expect("ends by itself");
    assert!(wrote.is_none() && said.iter().any(|line| line.contains("refused Locked")), "{said:?}");
}

/// `GRAFT_AUDIT_KILLS=2000` kills more often.
#[test]
fn what_a_killed_process_had_been_told_is_there() {
    let kills = std::env::var("GRAFT_AUDIT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(6);
    let folder = Folder::new("kill");
    let mut random = 0x9e37_79b9_u64;
    let mut records = 0;
    for _ in 0..kills {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut child = start(&folder);
        let (first, said) = told(&mut child, 0);
        assert!(first.is_some(), "{said:?}");
        std::thread::sleep(Duration::from_micros(random >> 48));
        child.kill().expect("kills");
        let (last, _) = told(&mut child, u64::MAX);
        child.wait().expect("waits");
        let last = last.or(first).expect("it wrote");
        let log = AuditLog::open(&folder.0, &key()).expect("a killed process leaves a log that opens");
        assert!(log.head().size > last, "record {last} was acknowledged");
        assert!(log.head().size > records, "it grew");
        records = log.close().expect("closes").size;
        assert_eq!(verified(&folder).records(), records);
    }
}

#[test]
fn a_wrong_key_is_named_as_such_and_damage_is_not_taken_for_it() {
    let folder = Folder::new("wrong-key");
    AuditLog::create(&folder.0, &key()).expect("creates").close().expect("closes");
    let other = AuditKey::generate().expect("randomness");
    assert!(matches!(AuditLog::open(&folder.0, &other), Err(AuditError::WrongKey)));
    assert!(matches!(Verifier::new().key(other).verify(&folder.0), Err(AuditError::WrongKey)));
    let segment = folder.0.join("0000000000.seg");
    let good = std::fs::read(&segment).expect("reads");
    // Every byte of the header, the commitment to the key among them.
    for at in 0..216 {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        std::fs::write(&segment, bytes).expect("writes");
        let refused = AuditLog::open(&folder.0, &key()).err();
        assert!(matches!(refused, Some(AuditError::Broken(_))), "byte {at}: {refused:?}");
    }
    std::fs::write(&segment, good).expect("writes");
    assert!(AuditLog::open(&folder.0, &key()).is_ok());
}

#[test]
fn neither_log_nor_key_shows_what_it_holds_when_printed() {
    let folder = Folder::new("printed");
    let log = AuditLog::create(&folder.0, &key()).expect("creates");
    log.append(&event()).expect("appends");
    let printed = format!("{log:?} {:?}", key());
    assert!(printed.contains("AuditKey(redacted)") && !printed.contains("agent:7"), "{printed}");
    let folder = folder.0.display().to_string();
    assert!(!printed.contains(&folder), "{printed}");
}

/// Counts what is read of the segments.
struct Counted(graft_audit::Folder, AtomicU64);

impl Files for Counted {
    fn list(&self) -> std::io::Result<Vec<String>> {
        self.0.list()
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read_at(name, offset, buffer)?;
        if name.ends_with(".seg") {
            self.1.fetch_add(read as u64, Ordering::Relaxed);
        }
        Ok(read)
    }
}

#[test]
fn a_proof_is_found_without_reading_the_log() {
    let folder = Folder::new("proof");
    let signer = AuditSigner::generate("example.com/log".parse().expect("a name")).expect("randomness");
    let public = signer.verifier();
    let options = LogOptions::new().durability(Durability::Memory).segment_bytes(3 << 20).signer(signer);
    let log = options.create(&folder.0, &key()).expect("creates");
    for n in 0..20_000 {
        log.append(&event()).expect("appends");
        if n % 777 == 0 {
            log.flush().expect("flushes");
        }
    }
    let head = log.checkpoint().expect("signs");
    let path = folder.0.join(format!("checkpoints/{:020}", head.size));
    let checkpoint = UnverifiedCheckpoint::parse(std::fs::read(path).expect("reads")).expect("a note");
    let checkpoint = checkpoint.verify(&public).expect("its own");
    let ends = [0, 1, 31, 32, 33, head.size - 34, head.size - 1];
    for seq in ends.into_iter().chain((0..head.size).step_by(997)) {
        let files = Counted(graft_audit::Folder::new(&folder.0), AtomicU64::new(0));
        let proof = prove_record(&files, seq, &checkpoint).expect("proves");
        let read = files.1.into_inner();
        assert!(read < 600_000, "{read} bytes were read of {seq}");
        let proved = UnverifiedBundle::parse(proof.to_string()).expect("parses").verify(&public, &[], 0);
        assert_eq!(proved.expect("holds").index(), seq);
    }
    let files = graft_audit::Folder::new(&folder.0);
    let beyond = prove_record(&files, head.size, &checkpoint).err();
    assert!(matches!(beyond, Some(RecordProofError::NotYet { .. })), "{beyond:?}");
}

#[test]
fn only_the_log_itself_records_what_was_done_to_it() {
    let folder = Folder::new("own");
    let log = AuditLog::create(&folder.0, &key()).expect("creates");
    log.append(&event()).expect("appends");
    let own = [Action::LogErase, Action::LogPrune, Action::LogOpen, Action::LogGap, Action::LogClock];
    for action in own {
        let made_up = Event { action, ..event() };
        assert!(matches!(log.append(&made_up), Err(AuditError::OwnAction)), "{action:?}");
        assert!(matches!(log.submit(&made_up), Err(AuditError::OwnAction)), "{action:?}");
    }
    log.erase(Seq(0)).expect("erases");
    log.record_export(Name::from_static("auditor:ann"), 0).expect("records");
    assert_eq!(log.close().expect("closes").size, 3);
    assert_eq!(verified(&folder).records(), 3);
}

/// Every commit but the first no longer agrees with its check: no crash leaves so many batches.
#[test]
fn many_batches_are_not_one_torn_tail() {
    let folder = Folder::new("tail");
    let log = AuditLog::create(&folder.0, &key()).expect("creates");
    (0..10).for_each(|_| _ = log.append(&event()).expect("appends"));
    drop(log);
    let segment = folder.0.join("0000000000.seg");
    let mut bytes = std::fs::read(&segment).expect("reads");
    let is_commit = |at: &usize| bytes[*at..].starts_with(&[b'C', 0, 0, 0, 0, 0, 0, 1]);
    let commits: Vec<_> = (0..bytes.len()).filter(is_commit).collect();
    assert_eq!(commits.len(), 10);
    commits[1..].iter().for_each(|commit| bytes[commit + 167] ^= 1);
    std::fs::write(&segment, &bytes).expect("writes");
    assert!(matches!(AuditLog::open(&folder.0, &key()), Err(AuditError::Broken(_))));
    // The last one alone is torn.
    commits[1..9].iter().for_each(|commit| bytes[commit + 167] ^= 1);
    std::fs::write(&segment, &bytes).expect("writes");
    assert_eq!(AuditLog::open(&folder.0, &key()).expect("opens").recovered().len(), 1);
}

#[test]
fn a_tail_longer_than_any_batch_is_refused_and_not_copied() {
    let folder = Folder::new("long-tail");
    AuditLog::create(&folder.0, &key()).expect("creates").append(&event()).expect("appends");
    let segment = std::fs::OpenOptions::new().append(true).open(folder.0.join("0000000000.seg"));
    let mut segment = segment.expect("opens");
    segment.set_len(8 << 20).expect("grows");
    std::io::Write::write_all(&mut segment, b"x").expect("writes");
    assert!(matches!(AuditLog::open(&folder.0, &key()), Err(AuditError::Broken(_))));
    assert!(!folder.0.join("torn").exists());
}

#[test]
fn numbers_of_segments_that_no_log_reaches_are_refused() {
    let folder = Folder::new("numbers");
    AuditLog::create(&folder.0, &key()).expect("creates").close().expect("closes");
    std::fs::remove_file(folder.0.join("0000000000.seg")).expect("removes");
    for number in [20_000_000_000, u64::MAX - 1, u64::MAX] {
        std::fs::write(folder.0.join(format!("{number:010}.seg")), b"x").expect("writes");
        assert!(matches!(AuditLog::open(&folder.0, &key()), Err(AuditError::Broken(_))), "{number}");
    }
}
