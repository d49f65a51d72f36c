"""The exit codes: the whole table, and what each command's help shows of it (docs/reason-codes.md)."""

from collections.abc import Iterable

EXIT_CODES = {
    0: "done; verified; equal",
    1: "internal error",
    2: "usage",
    10: "replay differs",
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
    41: "the base of a delta is missing, or it is not made whole yet",
    50: "older than accepted",
    51: "already accepted",
    52: "stale or expired",
    60: "not writable, no space, or not readable",
    61: "network guard not in force, or a connection attempt stopped",
    70: "refused by a hold or a retention brake",
    71: "conflict in the locker, or another trust root is pinned; a site's receipts fork",
    130: "interrupted; safe to run again",
}


EVERYWHERE = (0, 1, 2, 130)
"""What any command may end with."""
_TRUST, _BYTES, _PLACE = (20, 21, 22, 23), (30, 31, 32), (60,)
_LEDGER = (24,)
_RUN = (*_TRUST, *_LEDGER, *_BYTES, 33, 41, 50, 52, 60, 61)
BY_COMMAND: dict[str, tuple[int, ...]] = {
    "look": (*_BYTES, 40, 60, 61),
    "offline init": (23, 30, 31, 51, 60, 71),
    "offline status": (*_TRUST, *_BYTES, 52, *_PLACE),
    "offline import": (*_RUN, 40, 51),
    "offline open": (22, 23, *_BYTES, 40, 51, 60, 61),
    "offline encryption-key": (23, 30, 31, 60),
    "offline rollback": (23, 30, 31, 32, 60),
    "offline prune": (23, 31, 60),
    "offline quarantine": (60,),
    "offline state": (20, 23, 31, 60),
    "offline floor": (23, 31, 60),
    "replay": (10, *_RUN),
    "verify": (10, *_RUN),
    "verify --latest": (10, *_TRUST, *_LEDGER, *_BYTES, 50, 52, *_PLACE, 71),
    "diff": (10, 20, 21, *_BYTES, 60, 61),
    "report": (20, 21, 22, *_BYTES, 60, 71),
    "receipt show": (20, 21, *_BYTES, 60),
    "receipt check": (*_TRUST, *_LEDGER, *_BYTES, 52, 60),
    "receipt chain": (*_TRUST, *_BYTES, 52, 60, 71),
    "sync export": (20, 21, 23, *_BYTES, *_PLACE),
    "sync import": (*_TRUST, *_LEDGER, *_BYTES, 50, 52, *_PLACE, 71),
    "sync acknowledge": (23, *_BYTES, *_PLACE),
    "scan": (12, *_TRUST, *_BYTES, 51, *_PLACE),
    "scan sign": (*_TRUST, *_BYTES, *_PLACE),
    "policy check": (31, *_PLACE),
    "policy explain": (*_BYTES, *_PLACE),
    "attest": (*_TRUST, *_LEDGER, *_BYTES, *_PLACE),
    "witness cosign": (*_TRUST, *_LEDGER, *_BYTES, *_PLACE),
    "timestamp": (*_TRUST, *_BYTES, *_PLACE),
    "feed add": (31, *_PLACE, 71),
    "feed list": (*_BYTES, *_PLACE),
    "feed show": (*_BYTES, *_PLACE),
    "feed diff": (10, *_BYTES, *_PLACE),
    "rootpack init": (20, 31, 51, *_PLACE),
    "rootpack show": (23, 31, 32, *_PLACE),
    "rootpack add-key": (20, 23, 31, 32, 51, *_PLACE),
    "rootpack add-tsa": (20, 23, 31, 32, 51, *_PLACE),
    "rootpack rotate": (20, 23, 31, 32, 51, 52, *_PLACE),
    "rootpack revoke": (20, 23, 31, 32, 51, 52, *_PLACE),
    "rootpack require": (20, 23, 31, 32, 51, 52, *_PLACE),
    "rootpack read-key": (31, *_PLACE),
    "rootpack sign": (20, 23, 31, 32, 50, *_PLACE),
    "rootpack publish": (20, 22, 23, 31, 32, 50, 52, *_PLACE),
    "kit plan": (*_TRUST, *_BYTES, 41, 52, *_PLACE),
    "kit build": (*_TRUST, *_LEDGER, *_BYTES, 41, 51, 52, *_PLACE),
    "kit rehearse": (10, *_RUN),
    "kit split": (*_TRUST, *_BYTES, 40, 51, *_PLACE),
    "kit join": (*_BYTES, 22, 40, 51, *_PLACE),
    "kit seal": (*_BYTES, 40, 51, *_PLACE),
    "kit delta": (*_TRUST, *_BYTES, 41, 51, 52, *_PLACE),
    "kit check-volume": (*_TRUST, *_BYTES, 50, 52, *_PLACE, 40),
    "locker init": (23, 30, 31, 51, *_PLACE, 71),
    "locker ingest": (*_TRUST, *_LEDGER, *_BYTES, 50, 52, *_PLACE, 71),
    "locker migrate": (23, *_BYTES, *_PLACE, 71),
    "retention run": (23, *_BYTES, *_PLACE, 70),
    "retention forecast": (23, *_BYTES, *_PLACE),
    "retention certificate": (20, 21, 22, 23, *_BYTES, *_PLACE),
    "retention shorten": (23, *_BYTES, *_PLACE),
    "evidence holds create": (23, *_BYTES, *_PLACE),
    "evidence holds list": (23, *_BYTES, *_PLACE),
    "evidence holds show": (23, *_BYTES, *_PLACE),
    "evidence holds release": (23, *_BYTES, *_PLACE, 70),
    "locker status": (22, 23, *_BYTES, 52, *_PLACE),
    "locker metrics": (23, *_BYTES, *_PLACE),
    "locker drill": (23, *_BYTES, *_PLACE),
    "locker schedule": (23, *_BYTES, *_PLACE),
    "locker list": (23, *_BYTES, *_PLACE),
    "locker show": (23, *_BYTES, *_PLACE),
    "locker receipt": (23, *_LEDGER, *_BYTES, *_PLACE),
    "locker audit verify": (23, *_LEDGER, *_BYTES, *_PLACE),
    "locker audit checkpoint": (23, *_LEDGER, *_BYTES, *_PLACE),
    "locker audit restart": (23, *_LEDGER, *_BYTES, *_PLACE),
    "timeline list": (23, *_BYTES, *_PLACE),
    "timeline show": (23, *_BYTES, *_PLACE),
    "timeline export": (23, *_LEDGER, *_BYTES, *_PLACE),
}
"""What the commands may end with beside that; a command that stands not here refers to the whole table."""
WHOLE_TABLE = "stella help exit-codes"


def table(codes: Iterable[int] = EXIT_CODES) -> str:
    """Return codes and their meanings as text, a line a code; all of them by default."""
    return "Exit codes:\n" + "\n".join(f"{code:>5}  {EXIT_CODES[code]}" for code in sorted(codes))


def table_of(command: str) -> str:
    """Return the exit codes of one command, such as ``offline init``, and where the others stand."""
    own = BY_COMMAND.get(command, ())
    return table({*EVERYWHERE, *own}) + f"\n       ({'all' if own else 'others'}: {WHOLE_TABLE})"
