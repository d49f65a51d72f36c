"""The compression dictionary of a snapshot's pages: when there is one, and how it is trained.

112 KiB is where more stops paying: with 1 MiB the pages of a large feed are 5 % smaller, but take a fifth more CPU to
make and ten times the training, and a feed of less than 100 MB would not save what the dictionary itself takes. The
sample is chosen by leaf hash and taken in the order of the snapshot, so that it depends on the content alone.
"""

import zstandard

from kit.bytes import frames
from kit.errors import LimitExceeded, MalformedFrame
from kit.snapshot.records import MAX_DICTIONARY
from kit.snapshot.spill import Spill

WORTHWHILE = 8 << 20
"""Content bytes from which on a dictionary saves more than it takes."""

_SIZE = 112 << 10
_SAMPLE = 16 << 20
_PREFIX_SPACE = 1 << 32


def train(spill: Spill, level: int) -> bytes | None:
    """Return a dictionary trained on a sample of the spilled lines; None where it would not pay."""
    if spill.content_size < WORTHWHILE:
        return None
    threshold = _SAMPLE * _PREFIX_SPACE // spill.content_size
    samples: list[bytes | bytearray | memoryview[int]] = [
        spill.line(row) + b"\n" for row in spill.rows() if int.from_bytes(row.leaf[:4], "big") < threshold
    ]
    try:
        return zstandard.train_dictionary(_SIZE, samples, level=level).as_bytes()
    except zstandard.ZstdError:
        # Too few or too uniform samples: there is nothing to gain.
        return None


def check(dictionary: bytes) -> bytes:
    """Return a dictionary unchanged; LimitExceeded when it is too large, MalformedFrame when zstd did not train it."""
    if len(dictionary) > MAX_DICTIONARY:
        raise LimitExceeded(detail="dictionary bytes", expected=MAX_DICTIONARY, found=len(dictionary))
    try:
        frames.FrameCodec(dictionary=dictionary).compress(b"\n")
    except zstandard.ZstdError as fault:
        raise MalformedFrame(detail=f"not a dictionary: {fault}") from fault
    return dictionary
