"""The exit codes of every command, as their help prints them (docs/reason-codes.md)."""

from collections.abc import Iterable

EXIT_CODES = {
    0: "done; verified; equal",
    1: "internal error",
    2: "usage",
    10: "replay differs",
    11: "replay differs in declared-benign classes only",
    12: "the policy's verdict is fail, where asked",
    20: "signature wrong",
    21: "signer unknown, retired or revoked",
    22: "required evidence missing",
    23: "trust root refused or not pinned",
    24: "ledger proof wrong",
    30: "digest or size differs",
    31: "hostile, malformed or non-canonical input",
    32: "undeclared or missing file",
    33: "a tool is not the recorded one",
    40: "a volume is missing",
    41: "the base of a delta is missing",
    50: "older than accepted",
    51: "already accepted",
    52: "stale or expired",
    60: "not writable, no space, or not readable",
    61: "network guard not in force, or a connection attempt stopped",
    70: "refused by a hold or a retention brake",
    71: "conflict in the locker",
    130: "interrupted; safe to run again",
}


EVERYWHERE = (0, 1, 2, 130)
"""What any command may end with."""


def table(codes: Iterable[int] | None = None) -> str:
    """Return the table as text, a line a code; with ``codes`` only those and what any command may end with."""
    shown = sorted(EXIT_CODES if codes is None else {*EVERYWHERE, *codes})
    lines = "\n".join(f"{code:>5}  {EXIT_CODES[code]}" for code in shown)
    return f"Exit codes:\n{lines}"
