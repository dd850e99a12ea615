#!/bin/sh
# Holds the Python checker of proofs against the golden ones: they hold with their witness, and changed bytes
# and cuts are found. Needs python3 and nothing else.
set -eu
cd "$(dirname "$0")"

python3 - ../tests/golden/proofs <<'PYTHON'
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, ".")
from check_proof import Bad, check

keys = open(f"{sys.argv[1]}/keys").read().split()
tried = 0
for name in ("record-5-of-9.tlog-proof", "5-to-9.consistency"):
    good = open(f"{sys.argv[1]}/{name}", "rb").read()
    print(check(good, keys, 1))
    # A signature takes Python long, so not every byte is tried.
    for at in range(0, len(good), 5):
        damaged = bytearray(good)
        damaged[at] ^= 1
        for bad in (bytes(damaged), good[:at]):
            try:
                check(bad, keys, 1)
            except (Bad, ValueError):
                tried += 1
            else:
                sys.exit(f"{name}: changing or cutting at byte {at} was not found")
print(f"check_proof.py found {tried} changes")
PYTHON
