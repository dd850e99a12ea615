#!/usr/bin/env python3
"""Checks a proof of a graft audit log with public keys alone: of a record, or between two checkpoints.

    check_proof.py FILE KEYS [QUORUM]    status 0 it holds, 1 it does not, 2 not readable

KEYS is a file of verifier keys, a line each: the log's first, then those of witnesses. PROOFS.md says what stands where.
"""

import base64
import hashlib
import re
import sys

INCLUSION, CONSISTENCY = "c2sp.org/tlog-proof@v1", "graft-audit/consistency-proof@v1"
MOST = 2**63 - 1


class Bad(Exception):
    """Why the proof does not hold."""


def need(holds, why):
    if not holds:
        raise Bad(why)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def unbase64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Bad("a line is not base64") from None
    need(base64.b64encode(data).decode() == text, "base64 in another spelling")
    return data


def unhash(text):
    need(len(data := unbase64(text)) == 32, "a hash is not 32 bytes")
    return data


def decimal(text):
    need(re.fullmatch("0|[1-9][0-9]{0,18}", text) and int(text) <= MOST, "a number in another spelling")
    return int(text)


# Ed25519, RFC 8032 section 5.1, with points as (X, Y, Z, T).

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * p[3] * q[3] * D, 2 * p[2] * q[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(n, p):
    result = (0, 1, 1, 0)
    while n:
        if n & 1:
            result = add(result, p)
        p, n = add(p, p), n >> 1
    return result


def same(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def point(data):
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    need(y < P, "a point in another spelling")
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P != u:
        x = x * pow(2, (P - 1) // 4, P) % P
    need(v * x * x % P == u and (x or not sign), "not a point of the curve")
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


BASE = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def signs(key, message, signature):
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or s >= L:
        return False
    a = point(key)
    challenge = hashlib.sha512(r + key + message).digest()
    k = int.from_bytes(challenge, "little") % L
    return same(times(s, BASE), add(point(r), times(k, a)))


# Notes, checkpoints and keys.


def parse_key(line, kind):
    name, number, key = line.split("+", 2)
    data = unbase64(key)
    need(len(data) == 33 and data[0] == kind, "a verifier key of another type")
    need(sha256(name.encode(), b"\n", data)[:4].hex() == number, "a verifier key whose id is another's")
    return name, bytes.fromhex(number), data[1:]


def verify(note, log, witnesses):
    """Size, root and the names of the witnesses of a checkpoint."""
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    need(lines.endswith("\n") and not re.search("[\0-\t\v-\x1f]", note), "not a signed note")
    signatures = []
    for line in lines[:-1].split("\n"):
        dash, name, data = (line.split(" ") + ["", ""])[:3]
        need(dash == "—" and line.count(" ") == 2, "not a signature line")
        signatures.append((name, unbase64(data)))
    origin, size, root, *extensions = text[:-1].split("\n")
    need(origin == log[0] and all(extensions), "a checkpoint of another log")

    def holds(key, message, skip):
        name, number, public = key
        own = [data[4:] for of, data in signatures if of == name and data[:4] == number]
        need(all(signs(public, message(data), data[skip:]) for data in own), "a forged signature")
        return bool(own)

    need(holds(log, lambda data: text.encode(), 0), "a checkpoint without the log's signature")

    def cosigned(data):
        return f"cosignature/v1\ntime {int.from_bytes(data[:8], 'big')}\n{text}".encode()

    seen = {key[2]: key[0] for key in witnesses if holds(key, cosigned, 8)}
    return decimal(size), unhash(root), sorted(seen.values())


# The tree, from the definitions of RFC 6962 section 2.1.


def node(left, right):
    return sha256(b"\1", left, right)


def split(n):
    return 1 << (n - 1).bit_length() - 1


def root_by_path(leaf, m, n, path):
    if n == 1:
        need(not path, "too many hashes")
        return leaf
    need(path, "too few hashes")
    k, last = split(n), path[-1]
    if m < k:
        return node(root_by_path(leaf, m, k, path[:-1]), last)
    return node(last, root_by_path(leaf, m - k, n - k, path[:-1]))


def roots_by_proof(old, m, n, proof):
    """The roots of both trees; `old` is the earlier one's while its leaves are those from 0 on."""
    if m == n:
        need(len(proof) == (old is None), "a wrong number of hashes")
        return (proof[0], proof[0]) if old is None else (old, old)
    need(proof, "too few hashes")
    k, last = split(n), proof[-1]
    if m <= k:
        earlier, later = roots_by_proof(old, m, k, proof[:-1])
        return earlier, node(later, last)
    earlier, later = roots_by_proof(None, m - k, n - k, proof[:-1])
    return node(last, earlier), node(last, later)


def check(data, keys, quorum):
    """One line about what is proved."""
    need(len(data) <= 160 * 1024, "too long")
    bundle = data.decode()
    head, _, rest = bundle.partition("\n\n")
    kind, *lines = head.split("\n")
    log, witnesses = parse_key(keys[0], 1), [parse_key(key, 4) for key in keys[1:]]
    if kind == INCLUSION:
        need(len(lines) >= 2 and lines[0][:6] == "extra " and lines[1][:6] == "index ", "no header or index")
        leaf, index = sha256(b"\0", unbase64(lines[0][6:])), decimal(lines[1][6:])
        size, root, seen = verify(rest, log, witnesses)
        need(index < size, "a record past the tree")
        need(root_by_path(leaf, index, size, [unhash(line) for line in lines[2:66]]) == root, "another root")
        what = f"record {index} of {size}"
    elif kind == CONSISTENCY:
        parts = rest.split("\n\n")
        need(len(parts) == 4, "not two checkpoints")
        m, earlier, _ = verify(f"{parts[0]}\n\n{parts[1]}\n", log, [])
        size, root, seen = verify(f"{parts[2]}\n\n{parts[3]}", log, witnesses)
        proof = [unhash(line) for line in lines[:64]]
        need(m <= size, "a tree that shrank")
        if m == 0:
            need(not proof and earlier == sha256() and (size or root == earlier), "not the empty tree")
        else:
            need(roots_by_proof(earlier, m, size, proof) == (earlier, root), "two histories")
        what = f"{m} records to {size}"
    else:
        raise Bad("not a proof of a known form")
    need(len(seen) >= quorum, f"{len(seen)} of {quorum} witnesses")
    return f"{log[0]}: {what}, seen by {', '.join(seen) or 'no witness'}"


def main(arguments):
    if len(arguments) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with open(arguments[1], "rb") as file:
            data = file.read(160 * 1024 + 1)
        with open(arguments[2], encoding="utf-8") as file:
            keys = file.read().split()
        need(keys, "no keys")
        print(check(data, keys, int(arguments[3]) if len(arguments) == 4 else 0))
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    except (Bad, ValueError) as error:
        print(f"it does not hold: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
