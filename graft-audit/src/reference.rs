//! A second reader, short and slow, straight from `FORMAT.md`: what the real one is compared with.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

pub(crate) fn sha(parts: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(parts.concat()).into()
}

pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("any length");
    mac.chain_update(parts.concat()).finalize().into_bytes().into()
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

/// RFC 9162, 2.1.1, as it is written there.
pub(crate) fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => sha(&[]),
        [leaf] => *leaf,
        leaves => {
            let k = leaves.len().next_power_of_two() / 2;
            sha(&[&[1], &root(&leaves[..k]), &root(&leaves[k..])])
        }
    }
}

/// Where each frame of a segment lies, its header first; a record's goes to the end of its parts.
pub(crate) fn frames(segment: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut frames = Vec::new();
    frames.push(0..216 + 32 * u64_at(segment, 48).count_ones() as usize);
    while let Some(kind) = segment.get(frames[frames.len() - 1].end).filter(|&&kind| kind != 0) {
        let at = frames[frames.len() - 1].end;
        let length = match kind {
            b'B' => 40,
            b'C' => 168,
            _ => {
                let parts = usize::from(segment[at + 1]);
                let lengths = (0..parts).map(|part| u64_at(segment, at + 44 + part * 40) as u32 as usize);
                44 + 40 * parts + 8 + lengths.sum::<usize>()
            }
        };
        frames.push(at..at + length);
    }
    frames
}

/// The log in these segments, read with the key of each: the leaves, and the bodies of each record.
pub(crate) fn read(segments: &[(&[u8], [u8; 32])]) -> (Vec<[u8; 32]>, Vec<Vec<Vec<u8>>>) {
    let log = &segments[0].0[16..32];
    let (mut leaves, mut bodies) = (Vec::new(), Vec::new());
    let (mut previous, mut commit) = (sha(&[b"graft-audit 1 genesis\0", log]), [0; 32]);
    for (number, (segment, key)) in segments.iter().enumerate() {
        let number = (number as u64).to_be_bytes();
        let place = [log, &number].concat();
        let header = &segment[frames(segment)[0].clone()];
        let end = header.len();
        assert_eq!(header[..8], *b"graftlog");
        assert_eq!((&header[8..16], &header[16..40]), (&[0, 1, 1, header[11], 0, 0, 0, 0][..], &place[..]));
        assert_eq!((&header[56..88], &header[88..120]), (&previous[..], &commit[..]));
        assert_eq!(u64_at(header, 48), leaves.len() as u64);
        let mut covered = 0;
        for (at, hash) in header[120..end - 96].chunks(32).enumerate() {
            let bits = u64_at(header, 48);
            let bit = (0..64).rev().filter(|bit| bits >> bit & 1 == 1).nth(at).expect("one for each bit");
            assert_eq!(hash, root(&leaves[covered..covered + (1 << bit)]));
            covered += 1 << bit;
        }
        let segment_key = hmac(key, &[b"graft-audit 1 segment\0", &place]);
        let mac_key = hmac(&segment_key, &[b"graft-audit 1 mac\0", &place]);
        assert_eq!(header[end - 96..end - 64], hmac(&segment_key, &[b"graft-audit 1 commitment\0", &place]));
        assert_eq!(
            header[end - 64..end - 32],
            hmac(&mac_key, &[b"graft-audit 1 header\0", &header[..end - 64]])
        );
        assert_eq!(header[end - 32..], sha(&[&header[..end - 32]]));
        let (mut batch_key, mut salt, mut count) = ([0; 32], &[][..], 0);
        for frame in &frames(segment)[1..] {
            let frame = &segment[frame.clone()];
            match frame[0] {
                b'B' => {
                    assert_eq!((u64_at(frame, 8), &frame[1..8]), (leaves.len() as u64, &[0; 7][..]));
                    assert_eq!(frame[32..], sha(&[&[2], &frame[..32]])[..8]);
                    (salt, count) = (&frame[16..32], 0);
                    batch_key = hmac(&segment_key, &[b"graft-audit 1 batch\0", &place, salt]);
                }
                b'R' => {
                    let header = 44 + 40 * usize::from(frame[1]);
                    let leaf = sha(&[&[0], &frame[..header]]);
                    assert_eq!((u64_at(frame, 4), &frame[12..44]), (leaves.len() as u64, &previous[..]));
                    assert_eq!(frame[header..header + 8], leaf[..8]);
                    let mut at = header + 8;
                    let mut opened = Vec::new();
                    for part in frame[44..header].chunks(40) {
                        let length = u64_at(part, 0) as u32 as usize;
                        let sealed = &frame[at..at + length];
                        assert_eq!(sha(&[sealed]), part[8..40]);
                        let kind = u32::from(part[0]).to_be_bytes();
                        let nonce = [&kind[..], &frame[4..12]].concat();
                        let data = [&place, &frame[4..12], &kind, &part[4..8]].concat();
                        let cipher = ChaCha20Poly1305::new_from_slice(&batch_key).expect("32 bytes");
                        let nonce = (&nonce[..]).try_into().expect("12 bytes");
                        let payload = Payload { msg: sealed, aad: &data };
                        opened.push(cipher.decrypt(nonce, payload).expect("opens"));
                        at += length;
                    }
                    bodies.push(opened);
                    leaves.push(leaf);
                    (previous, count) = (leaf, count + 1);
                }
                _ => {
                    assert_eq!((u64_at(frame, 0) as u32, u64_at(frame, 8)), (count, leaves.len() as u64));
                    assert_eq!((&frame[16..32], &frame[32..64]), (salt, &previous[..]));
                    assert_eq!((&frame[64..96], &frame[96..128]), (&root(&leaves)[..], &commit[..]));
                    let mac = hmac(&mac_key, &[b"graft-audit 1 commit\0", &place, &frame[..128]]);
                    assert_eq!(frame[128..160], mac);
                    commit = sha(&[&[3], &frame[..160]]);
                    assert_eq!(frame[160..], commit[..8]);
                }
            }
        }
    }
    (leaves, bodies)
}
