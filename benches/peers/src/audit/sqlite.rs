//! What most would write an audit log into: SQLite in WAL mode with full synchronisation, so that a commit that
//! was acknowledged survives a crash as a synced record of graft does. No chain and no tree: only rows.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::BODY;
use super::primitives::Sealer;
use crate::harness::Failure;

/// Bytes of a body with its tag, and with a link as well.
const SEALED: usize = BODY + 16;
const MOST: usize = SEALED + 32;

/// How the rows are kept from a thief.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Not at all.
    Open,
    /// Each body is sealed by the program, with ring.
    Sealed,
    /// The same, and each row holds a hash over the one before: what graft's log does, but for the tree.
    Chained,
    /// The whole file, by SQLCipher.
    #[cfg(feature = "sqlcipher")]
    Cipher,
}

/// Whether a connection shares the file with others. One that does not is spared the shared memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Share {
    Alone,
    WithOthers,
}

/// A database with one table of records.
pub struct Database {
    path: PathBuf,
    keep: Keep,
    sealer: Sealer,
    next: AtomicU64,
    link: Mutex<[u8; 32]>,
}

impl Database {
    pub fn create(path: &Path, keep: Keep) -> Result<Self, Failure> {
        let database = Self {
            path: path.to_owned(),
            keep,
            sealer: Sealer::new()?,
            next: AtomicU64::new(1),
            link: Mutex::new([0; 32]),
        };
        let table = "CREATE TABLE records (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)";
        database.connect(Share::WithOthers)?.execute_batch(table)?;
        Ok(database)
    }

    pub fn connect(&self, share: Share) -> Result<Connection, Failure> {
        let connection = Connection::open(&self.path)?;
        #[cfg(feature = "sqlcipher")]
        if self.keep == Keep::Cipher {
            // A key and not a passphrase, so that opening derives nothing.
            let key = "05".repeat(32);
            connection.execute_batch(&format!("PRAGMA key = \"x'{key}'\""))?;
        }
        if share == Share::Alone {
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.busy_timeout(Duration::from_secs(120))?;
        Ok(connection)
    }

    /// The next row, sealed and chained if its kind is.
    pub fn row(&self) -> Result<Row, Failure> {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        let mut row = Row { seq, length: BODY, bytes: [9; MOST] };
        if matches!(self.keep, Keep::Sealed | Keep::Chained) {
            let tag = self.sealer.seal(seq, &mut row.bytes[..BODY])?;
            row.bytes[BODY..SEALED].copy_from_slice(&tag);
            row.length = SEALED;
        }
        if self.keep == Keep::Chained {
            let mut link = self.link.lock().map_err(|_| "a writer panicked")?;
            *link = Sha256::new().chain_update(*link).chain_update(&row.bytes[..SEALED]).finalize().into();
            row.bytes[SEALED..].copy_from_slice(&*link);
            row.length = MOST;
        }
        Ok(row)
    }

    /// Inserts one transaction of so many rows.
    pub fn batch(&self, connection: &Connection, rows: u64) -> Result<(), Failure> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for _ in 0..rows {
            self.row()?.insert(connection)?;
        }
        Ok(connection.execute_batch("COMMIT")?)
    }
}

/// One record.
pub struct Row {
    seq: u64,
    length: usize,
    bytes: [u8; MOST],
}

impl Row {
    /// Inserts it, in a transaction of its own if none is open.
    pub fn insert(&self, connection: &Connection) -> Result<(), Failure> {
        let mut insert = connection.prepare_cached("INSERT INTO records (seq, body) VALUES (?1, ?2)")?;
        insert.execute((self.seq as i64, &self.bytes[..self.length]))?;
        Ok(())
    }
}

/// One thread that owns the connection and commits at once whatever waits: what graft's queue is to its log.
pub struct SharedCommits {
    rows: SyncSender<(Row, Sender<()>)>,
}

/// A writer of it, who waits for each of its rows.
pub struct Client {
    rows: SyncSender<(Row, Sender<()>)>,
    done: (Sender<()>, Receiver<()>),
}

impl SharedCommits {
    /// Its thread ends with its last client.
    pub fn over(connection: Connection) -> Self {
        let (rows, waiting) = sync_channel(1024);
        thread::spawn(move || commit_all(&connection, &waiting));
        Self { rows }
    }

    pub fn client(&self) -> Client {
        Client { rows: self.rows.clone(), done: channel() }
    }
}

impl Client {
    pub fn insert(&mut self, row: Row) -> Result<(), Failure> {
        self.rows.send((row, self.done.0.clone())).map_err(|_| "the thread that commits has ended")?;
        // It keeps a sender of its own, so a thread that failed would be waited for without this limit.
        Ok(self.done.1.recv_timeout(Duration::from_secs(60))?)
    }
}

fn commit_all(connection: &Connection, waiting: &Receiver<(Row, Sender<()>)>) -> Result<(), Failure> {
    let mut done = Vec::new();
    while let Ok((row, reply)) = waiting.recv() {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        row.insert(connection)?;
        done.push(reply);
        while let Ok((row, reply)) = waiting.try_recv() {
            row.insert(connection)?;
            done.push(reply);
        }
        connection.execute_batch("COMMIT")?;
        for reply in done.drain(..) {
            let _ = reply.send(()); // a client that went away needs no answer
        }
    }
    Ok(())
}
