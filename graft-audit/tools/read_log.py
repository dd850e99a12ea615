#!/usr/bin/env python3
"""Checks the structure of a graft audit log (version 0) without its key: header, digests, order, chain.

    read_log.py FILE    lists the frames; status 0 intact, 1 not intact, 2 not readable

Without the key a chain that somebody made anew passes. FORMAT.md says what stands where.
"""

import hashlib
import struct
import sys

MAGIC = b"graftlog"
FILE_HEADER = struct.Struct(">8sH16s32s32s")
FRAME_HEADER = struct.Struct(">cQ32sI32s")
CHECK_LEN = 8
HEAD_LEN = FRAME_HEADER.size + CHECK_LEN
KINDS = {b"O": "opening", b"R": "record", b"C": "closing"}
LENGTHS = {b"O": range(88, 89), b"R": range(16, 65536 + 1), b"C": range(32, 33)}


class Bad(Exception):
    """The first place that is not what it must be."""


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def read_file_header(file):
    raw = file.read(FILE_HEADER.size)
    if not MAGIC.startswith(raw[:8]):
        raise Bad("the file header at byte 0 does not begin with `graftlog`")
    if len(raw) < FILE_HEADER.size:
        raise Bad(f"the file header at byte 0 has {len(raw)} of {FILE_HEADER.size} bytes")
    _, version, log, _, digest = FILE_HEADER.unpack(raw)
    if version != 0:
        raise Bad(f"the file header at byte 0 says version {version}, expected 0")
    if digest != sha256(raw[:58]):
        raise Bad("the file header at byte 0 does not match its own digest")
    return log, sha256(b"\0", raw)


def frames(file, previous):
    """Yields (offset, kind, seq, payload, leaf) for each good frame; raises Bad at the first other."""
    offset, records, is_open = FILE_HEADER.size, 0, False
    while head := file.read(HEAD_LEN):

        def bad(what):
            return Bad(f"the frame at byte {offset}, where record {records} is next, {what}")

        if len(head) < HEAD_LEN:
            raise bad(f"is torn: {len(head)} bytes of it are there, expected {HEAD_LEN}")
        header, check = head[:-CHECK_LEN], head[-CHECK_LEN:]
        leaf = sha256(b"\0", header)
        kind, seq, chained, length, digest = FRAME_HEADER.unpack(header)
        if check != leaf[:CHECK_LEN]:
            raise bad("has a damaged header")
        if kind not in KINDS:
            raise bad(f"is of kind {kind[0]}, which version 0 does not have")
        if length not in LENGTHS[kind]:
            raise bad(f"has a length of {length} bytes, which no frame of its kind has")
        if seq != records:
            raise bad(f"has sequence number {seq}, expected {records}")
        if chained != previous:
            raise bad(f"follows {chained.hex()}, expected {previous.hex()}")
        payload = file.read(length)
        if len(payload) < length:
            raise bad(f"is torn: {HEAD_LEN + len(payload)} bytes of it are there, expected {HEAD_LEN + length}")
        if digest != sha256(kind, payload):
            raise bad("has a damaged body")
        if kind != b"O" and not is_open:
            raise bad("stands where no frame of its kind may")
        yield offset, kind, seq, payload, leaf
        is_open = kind != b"C"
        records += kind == b"R"
        offset += HEAD_LEN + length
        previous = leaf


def check(file, out):
    """Lists the frames of an open log to `out`; True if it is intact."""
    last = None
    records = 0
    try:
        log, previous = read_file_header(file)
        print(f"log {log.hex()}", file=out)
        for offset, kind, seq, payload, leaf in frames(file, previous):
            torn = struct.unpack(">Q", payload[16:24])[0] if kind == b"O" else 0
            note = f" {torn} torn bytes set aside" if torn else ""
            print(f"{offset} {KINDS[kind]} {seq} {leaf.hex()}{note}", file=out)
            last, previous = kind, leaf
            records += kind == b"R"
    except Bad as found:
        print(f"not intact: {found}", file=out)
        return False
    state = "closed" if last == b"C" else "not closed: a cut at the end could not be seen"
    print(f"structure intact, {records} records, {state}, last leaf {previous.hex()}", file=out)
    return True


def main(arguments):
    if len(arguments) != 1:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        with open(arguments[0], "rb") as file:
            return 0 if check(file, sys.stdout) else 1
    except OSError as error:
        print(f"the log cannot be read: {error.strerror}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
