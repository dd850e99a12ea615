#!/bin/sh
# Holds the Python reader against the golden log: the listing is the committed one, and every flipped byte
# and every cut within a frame is found. Needs python3 and nothing else.
set -eu
cd "$(dirname "$0")"
golden=../tests/golden

python3 read_log.py "$golden/v0.bin" | diff "$golden/v0.frames.txt" -

python3 - "$golden/v0.bin" <<'PYTHON'
import io
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, ".")
import read_log

log = open(sys.argv[1], "rb").read()
with open("../tests/golden/v0.frames.txt") as listing:
    ends = {int(line.split()[0]) for line in listing if line[0].isdigit()} | {len(log)}


def passes(data):
    return read_log.check(io.BytesIO(data), io.StringIO())


for at in range(len(log)):
    for mask in (1, 16, 128, 255):
        damaged = bytearray(log)
        damaged[at] ^= mask
        assert not passes(bytes(damaged)), f"flipping byte {at} by {mask} was not found"
    assert passes(log[:at]) == (at in ends), f"cutting at byte {at}"
print(f"read_log.py found {4 * len(log)} flipped bytes and {len(log) - len(ends) + 1} cuts")
PYTHON
