"""The records of a period's report, and what each row may rest on (docs/format.md section 7.5)."""

import msgspec

SCHEMA_VERSION = "1.0"
SIGNED = "signed result"
"""The site's key signed it."""
MEMORY = "site's memory"
"""It stands in ``state.json`` or in the quarantine, which a checksum covers at best, and nobody signed."""
ABSENCE = "nothing here"
"""No run, no memory and no quarantine that is here tells of it."""
CLAIM = "unsigned claim"
"""Somebody wrote it; nothing bears it out."""
TAKEN = ("activated", "accepted")


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Base of the report's records."""


class SignerRow(_Row, frozen=True):
    """Who signed: owner and fingerprint, as a signed result has them."""

    owner: str
    fingerprint: str


class RunRow(_Row, frozen=True):
    """One run. Where ``standing`` is not ``checked``, the verdict is what somebody says, and ``why`` tells why."""

    run: str
    standing: str
    at: str | None = None
    mode: str | None = None
    verdict: str | None = None
    reason: str | None = None
    exit_code: int | None = None
    kit: str | None = None
    sequence: int | None = None
    scan: str | None = None
    judged_by: str | None = None
    signers: tuple[SignerRow, ...] = ()
    policy_verdict: str | None = None
    result_digest: str | None = None
    receipt_digest: str | None = None
    acknowledged: bool = False
    why: str | None = None


class KitRow(_Row, frozen=True):
    """One kit and what came of it; ``basis`` is what the site's having accepted it rests on."""

    channel: str
    sequence: int
    kit: str
    outcome: str
    basis: str
    at: str | None = None
    digest: str | None = None
    signers: tuple[SignerRow, ...] = ()
    verdicts: dict[str, int] = {}


class GapRow(_Row, frozen=True):
    """Numbers of a channel, from ``first`` to ``last``, that were not taken in, and what is known of them instead."""

    channel: str
    first: int
    last: int
    outcome: str
    basis: str
    detail: str | None = None


class ExceptionRow(_Row, frozen=True):
    """Something out of the ordinary; ``at`` is missing where nothing tells when."""

    kind: str
    said: str
    basis: str
    at: str | None = None
    run: str | None = None


class ChainRow(_Row, frozen=True):
    """The chain of all receipts that are there, of this period or not."""

    receipts: int
    gaps: tuple[str, ...] = ()
    forks: int = 0
    newest_is_here: bool | None = None


class Report(_Row, frozen=True):
    """The whole; ``not_checked`` says in words what could not be checked, and why."""

    schema_version: str
    period: str
    first: str
    last: str
    made_at: str
    kits: tuple[KitRow, ...]
    runs: tuple[RunRow, ...]
    gaps: tuple[GapRow, ...]
    exceptions: tuple[ExceptionRow, ...]
    chain: ChainRow
    outside: int
    site: str | None = None
    root: str | None = None
    not_checked: tuple[str, ...] = ()

    def count(self, standing: str) -> int:
        """Return how many runs have a standing."""
        return sum(row.standing == standing for row in self.runs)
