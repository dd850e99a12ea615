//! Any bytes as the segments of a log, with and without a key: nothing panics, and what a reader hands out is what
//! the verification counts. Start from `tests/golden`: `cargo +nightly fuzz run log CORPUS ../tests/golden/v1-readable`.
#![no_main]

use std::io;

use graft_audit::{AuditError, AuditKey, Files, KeyRing, Reader, Verifier, segment_name};
use libfuzzer_sys::fuzz_target;

/// One segment, or two from the middle on.
struct Segments<'a>(Vec<&'a [u8]>);

impl Files for Segments<'_> {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok((0..self.0.len() as u64).map(segment_name).collect())
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let file = (0..).zip(&self.0).find(|(number, _)| segment_name(*number) == name);
        let (_, bytes) = file.ok_or(io::ErrorKind::NotFound)?;
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

fuzz_target!(|data: &[u8]| {
    // The key of the golden logs.
    let key = AuditKey::new(std::array::from_fn::<u8, 32, _>(|i| (i * i) as u8 ^ 1)).expect("strong");
    let (one, other) = data.split_at(data.len() / 2);
    for segments in [vec![data], vec![one, other]] {
        let files = Segments(segments);
        for all in [false, true] {
            let _ = Verifier::new().all(all).verify_files(&files).expect("it can be read");
            match Verifier::new().all(all).key(key.clone()).verify_files(&files) {
                Ok(report) if !all && report.first_bad().is_none() => {
                    let entries = Reader::open_files(Segments(files.0.clone()), KeyRing::from(key.clone()))
                        .map(|reader| reader.filter(Result::is_ok).count() as u64);
                    assert!(entries.is_ok_and(|entries| entries == report.records()));
                }
                Ok(_) | Err(AuditError::WrongKey) => {}
                Err(error) => unreachable!("{error}"),
            }
        }
    }
});
