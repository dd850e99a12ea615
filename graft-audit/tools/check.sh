#!/bin/sh
# Holds the Python reader against the golden logs: the listings are the committed ones, and every flipped byte of the
# log and every cut is found. Needs python3 and nothing else.
set -eu
cd "$(dirname "$0")"

python3 - ../tests/golden/v1-readable ../tests/golden/v1-sealed <<'PYTHON'
import io
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, ".")
import read_log


def ending(segments, keys):
    """The torn tail and how many records there are, or None if the log is not intact."""
    state = torn = None
    try:
        for number, raw in enumerate(segments):
            state, mark, torn = read_log.read_segment(raw, number, keys, state, io.StringIO())
            if torn is None and number + 1 < len(segments) and mark != 2:
                return None
            if torn is not None and number + 1 < len(segments):
                return None
    except (read_log.Bad, read_log.struct.error, IndexError):
        return None
    return torn, sum(size for size, _ in state[3])


for folder in map(pathlib.Path, sys.argv[1:]):
    names = [str(folder / name) for name in ("key-0", "key-1")]
    printed, sys.stdout = sys.stdout, io.StringIO()
    status = read_log.main([str(folder), *names])
    printed, sys.stdout = sys.stdout.getvalue(), printed
    listing = (folder / "listing").read_text()
    # What is wrong with the torn tail is said in each reader's own words.
    end = listing.rfind(" on, ")
    assert status == 0 and end > 0 and printed[:end] == listing[:end], f"{folder.name}: another listing"
    count = listing[end:].split(",")[1]
    assert printed.endswith(f"{count}, open, sealed\n"), f"{folder.name}: another ending"

    segments = [path.read_bytes() for path in sorted(folder.glob("*.seg"))]
    keys = [bytes.fromhex(pathlib.Path(name).read_text()) for name in names]
    good = ending(segments, keys)
    assert good == ending(segments, []) and good[0] is not None
    committed = [len(segments[0]), len(segments[1]), int(listing[:end].rsplit(" ", 1)[1])]
    flips = cuts = 0
    for number, raw in enumerate(segments):
        for at in range(committed[number]):
            damaged = bytearray(raw)
            damaged[at] ^= 1 << at % 8
            changed = segments[:number] + [bytes(damaged)] + segments[number + 1:]
            for given in ([], keys) if at % 41 == 0 else ([],):
                assert ending(changed, given) != good, f"{folder.name}: flipping byte {at} of segment {number}"
                flips += 1
    for at in range(committed[0]):
        assert ending([segments[0][:at], *segments[1:]], []) is None, f"{folder.name}: cutting at byte {at}"
        cuts += 1
    print(f"read_log.py found {flips} flipped bytes and {cuts} cuts of {folder.name}")
PYTHON
