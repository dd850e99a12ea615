#!/usr/bin/env python3
"""Reads a graft audit log (version 1) and checks it: digests, order, chain, tree; with a key MACs and seals too.

    read_log.py FOLDER [KEYFILE ..]    lists the records; status 0 intact, 1 not intact, 2 not readable

A key file holds 64 hexadecimal digits: the key of a readable log, or the master key of a sealed one. Without one, a
log that somebody made anew passes. What is erased is listed; whether a record accounts for it is not looked at.
FORMAT.md says what stands where; the first bad place ends the reading.
"""
import functools
import hashlib
import hmac
import pathlib
import struct
import sys

Q = struct.Struct(">Q")

class Bad(Exception):
    """The first place that is not what it must be."""

def need(holds, what):
    if not holds:
        raise Bad(what)

def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

def mac(key, label, *parts):
    return hmac.new(key, b"graft-audit 1 " + label + b"\0" + b"".join(parts), hashlib.sha256).digest()

def chacha(key, counter, nonce):
    state = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *struct.unpack("<8I", key), counter, *struct.unpack("<3I", nonce)]
    x = state[:]
    columns, diagonals = [(i, i + 4, i + 8, i + 12) for i in range(4)], [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
    for a, b, c, d in (columns + diagonals) * 10:
        for to, by, turned, left in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[to] = (x[to] + x[by]) & 0xFFFFFFFF
            mixed = x[turned] ^ x[to]
            x[turned] = (mixed << left | mixed >> 32 - left) & 0xFFFFFFFF
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(x, state)))

def unseal(key, nonce, data, sealed):
    """ChaCha20-Poly1305, RFC 8439, 2.8."""
    body, tag = sealed[:-16], sealed[-16:]
    once = chacha(key, 0, nonce)
    r, s = int.from_bytes(once[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF, int.from_bytes(once[16:32], "little")
    padded = b"".join(part + bytes(-len(part) % 16) for part in (data, body)) + struct.pack("<2Q", len(data), len(body))
    total = 0
    for at in range(0, len(padded), 16):
        total = (total + int.from_bytes(padded[at:at + 16] + b"\1", "little")) * r % ((1 << 130) - 5)
    need(hmac.compare_digest(((total + s) % (1 << 128)).to_bytes(16, "little"), tag), "was not sealed with this key")
    stream = b"".join(chacha(key, 1 + at // 64, nonce) for at in range(0, len(body), 64))
    return bytes(a ^ b for a, b in zip(body, stream))

def push(tree, leaf):
    """Adds a leaf to a list of (size, root) of whole subtrees, largest first."""
    size = 1
    while tree and tree[-1][0] == size:
        size, leaf = size * 2, sha(b"\1", tree.pop()[1], leaf)
    tree.append((size, leaf))

def root(tree):
    return functools.reduce(lambda right, left: sha(b"\1", left, right), [hash for _, hash in reversed(tree)]) if tree else sha()

def segment_key(keys, sealed, log, first, number, place, commitment):
    for key in keys:
        if sealed:
            key = mac(key, b"ratchet root", log, Q.pack(first))
            for i in range(first, number):
                key = mac(key, b"ratchet", log, Q.pack(i + 1))
        key = mac(key, b"segment", place)
        if mac(key, b"commitment", place) == commitment:
            return key
    raise Bad("was written with another key")

def read_segment(raw, number, keys, state, out):
    """Checks one segment against `state`, what the one before left, and renews it."""
    size = Q.unpack_from(raw, 48)[0]
    header, fixed = raw[:216 + 32 * size.bit_count()], struct.unpack(">8sHBBI", raw[:16])
    need(fixed[:2] == (b"graftlog", 1), "is no segment of version 1")
    need(sha(header[:-32]) == header[-32:], "has a damaged header")
    need(fixed[2:] in ((1, 0, 0), (1, 1, 0)) and Q.unpack_from(raw, 32)[0] == number, "says what no segment here says")
    log, place, frontier = header[16:32], header[16:40], header[120:-96]
    sizes = [1 << bit for bit in reversed(range(64)) if size >> bit & 1]
    begins = (log, header[56:88], header[88:120], [(s, frontier[32 * i:32 * i + 32]) for i, s in enumerate(sizes)])
    need(state in (None, begins), "does not go on where the segment before ends")
    log, leaf, commit, tree = begins
    key = segment_key(keys, fixed[3], log, Q.unpack_from(raw, 40)[0], number, place, header[-96:-64]) if keys else None
    mac_key = mac(key, b"mac", place) if key else None
    need(not key or mac(mac_key, b"header", header[:-64]) == header[-64:-32], "has a header that is not by its key")
    good, listed, end = (len(header), (log, leaf, commit, tree[:]), 0), [], len(header)
    while raw[end:].strip(b"\0"):
        at, salt, begin, first = end, raw[end + 16:end + 32], good, size
        try:
            need(raw[at:at + 8] == b"B" + bytes(7) and sha(b"\2", raw[at:at + 32])[:8] == raw[at + 32:at + 40] and Q.unpack_from(raw, at + 8)[0] == size, f"byte {at}: no batch begins here")
            at += 40
            while raw[at:at + 1] == b"R":
                parts_at = at + 44 + 40 * raw[at + 1] + 8
                head, check, parts = raw[at:parts_at - 8], raw[parts_at - 8:parts_at], []
                need(sha(b"\0", head)[:8] == check and head[4:44] == Q.pack(size) + leaf, f"byte {at}: record {size} is damaged or out of order")
                for part in (head[i:i + 40] for i in range(44, len(head), 40)):
                    sealed = raw[parts_at:parts_at + int.from_bytes(part[4:8], "big")]
                    parts_at += len(sealed)
                    erased = not sealed.strip(b"\0")
                    need(erased or sha(sealed) == part[8:], f"byte {at}: record {size} has a damaged body")
                    kind, batch_key = bytes(3) + part[:1], key and mac(key, b"batch", place, salt)
                    body = None if erased or not key else unseal(batch_key, kind + head[4:12], place + head[4:12] + kind + part[4:8], sealed)
                    parts.append("erased" if erased else f"{len(sealed)} bytes" if body is None else body.hex())
                leaf, size, at = sha(b"\0", head), size + 1, parts_at
                push(tree, leaf)
                listed.append(f"record {size - 1} leaf {leaf.hex()} parts {' '.join(parts)}")
            seal, digest = raw[at:at + 160], sha(b"\3", raw[at:at + 160])
            says = struct.pack(">cxxxIQ", b"C", size - first, size) + salt + leaf + root(tree) + commit
            need(seal[:1] + b"\0" + seal[2:128] == says and digest[:8] == raw[at + 160:at + 168], f"byte {at}: no commit of these records")
            need(not key or mac(mac_key, b"commit", place, seal[:128]) == seal[128:], f"byte {at}: the commit is not by its key")
            need(seal[1] == 2 or raw[at + 168:].strip(b"\0") or not any(" erased" in line for line in listed), f"byte {begin[0]}: a part of the last batch is zeros")
        except (Bad, struct.error, IndexError) as found:
            later = len(raw.rstrip(b"\0")) - begin[0] > 1 << 22 or any(sha(b"\2", raw[i:i + 32])[:8] == raw[i + 32:i + 40] for i in range(begin[0] + 1, len(raw)) if raw[i] == 66) or any(sha(b"\3", raw[i:i + 160])[:8] == raw[i + 160:i + 168] and raw[i + 96:i + 128] != commit for i in range(begin[0], len(raw)) if raw[i] == 67)
            need(not later, str(found))
            return begin[1], begin[2], f"a torn tail from byte {begin[0]} on: {found}"
        end, commit = at + 168, digest
        print(*listed, f"commit {size} root {root(tree).hex()}", sep="\n", file=out)
        good, listed = (end, (log, leaf, commit, tree[:]), seal[1]), []
    return good[1], good[2], None

def main(arguments):
    if not arguments:
        sys.exit(__doc__.strip())
    try:
        folder = pathlib.Path(arguments[0])
        keys = [bytes.fromhex(pathlib.Path(name).read_text()) for name in arguments[1:]]
        segments = {int(path.stem): path.read_bytes() if path.is_file() and not path.is_symlink() else b"" for path in sorted(folder.glob("[0-9]" * 10 + ".seg"))}
    except (OSError, ValueError) as error:
        print(f"the log or a key cannot be read: {error.__class__.__name__}", file=sys.stderr)
        return 2
    state, mark, torn, expected = None, 0, None, None
    for number, raw in segments.items():
        try:
            need(expected is None or (number, 2, None) == (expected, mark, torn), "stands behind a missing, torn or unended one")
            state, mark, torn = read_segment(raw, number, keys, state, sys.stdout)
        except (Bad, struct.error) as found:
            print(f"not intact: segment {number}: {found}")
            return 1
        expected = number + 1
    print(torn or "no torn tail", f"{sum(size for size, _ in state[3]) if state else 0} records", ["open", "closed", "cut"][mark], "sealed" if keys else "structure", sep=", ")
    return 0 if state else 2

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
