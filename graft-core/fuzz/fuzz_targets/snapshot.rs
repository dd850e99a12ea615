//! No bytes make a snapshot that nobody sealed, and none make restoring panic.
#![no_main]

use graft_core::{RunId, SnapshotKey, SnapshotOf, TaintLedger};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let key = SnapshotKey::new(b"9xk2;Qf_71zR-mPq0^vLwA83!dYtNe5c").expect("a strong key");
    let of = SnapshotOf { run: RunId([7; 16]), policy: [1; 32] };
    assert!(TaintLedger::restore(bytes, &key, &of, 0).is_err());
});
