"""What every export is made of, and what all of them say in the same way (docs/exports.md)."""

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property

import msgspec

from kit.bytes import canonical, sha256
from scanner.cvss import LEVELS
from scanner.outputs import Finding, FindingsDocument, VerdictDocument

PROGRAM = "stella"
ACTIONS = ("fail", "warn", "ignore")
"""Gravest first."""


class Standing(msgspec.Struct, frozen=True):
    """How far the findings can be relied on: a word, whether they are verified, and why not in one sentence."""

    word: str
    verified: bool
    note: str = ""

    def __str__(self) -> str:
        return self.word if self.verified else f"NOT VERIFIED ({self.word}): {self.note}"


class Evaluated(msgspec.Struct, frozen=True, dict=True):
    """One evaluation, ready to be exported.

    ``version`` is that of the program. ``bom_link`` is ``urn:cdx:serial/version`` of the scanned SBOM, where it is at
    hand and has one.
    """

    findings: FindingsDocument
    verdict: VerdictDocument
    standing: Standing
    version: str
    bom_link: str | None = None

    @cached_property
    def gravest_first(self) -> Sequence[Finding]:
        """The findings by action, severity, score, id and package."""
        return sorted(self.findings.findings, key=_gravity)

    @cached_property
    def identity(self) -> str:
        """Hexadecimal digest of everything that an export is made of."""
        parts = (
            canonical.encode_record(self.findings),
            canonical.encode_record(self.verdict),
            canonical.encode([self.standing.word, self.standing.note, self.version, self.bom_link or ""]),
        )
        return sha256.of(b"".join(sha256.of(part) for part in parts)).hex()

    def uuid(self, *names: str) -> str:
        """Return the UUID of a part of an export: version 5 of RFC 9562, named by the content's digest and names.

        The schema of SARIF 2.1.0 knows no version above 5.
        """
        named = _NAMESPACE + key(self.identity, *names).encode()
        number = bytearray(hashlib.sha1(named, usedforsecurity=False).digest()[:16])
        number[6] = number[6] & 0x0F | 0x50
        number[8] = number[8] & 0x3F | 0x80
        text = number.hex()
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


_NAMESPACE = bytes.fromhex("b39eb0c6f25b4df2b14dee0a7ed3ba3a")
"""The UUID in which the exports of this program have their names."""


def key(*parts: str) -> str:
    """Return a hexadecimal digest that stands for some texts."""
    return hashlib.sha256(canonical.encode(list(parts))).hexdigest()


def finding_key(finding: Finding) -> str:
    """Return what identifies a finding from one scan to the next: the package and the vulnerability."""
    component = finding.component
    return key(component.purl, component.ecosystem, component.package, component.version, finding.id)


def fixed_versions(finding: Finding) -> list[str]:
    """Return the versions that the finding's records name as fixed, each once, in the order of the records."""
    return list(dict.fromkeys(version for record in finding.records for version in record.fixed))


def score(finding: Finding) -> str:
    """Return the base score as people write it, empty where there is none."""
    tenths = finding.severity.score
    return "" if tenths is None else f"{tenths // 10}.{tenths % 10}"


def decided_by(finding: Finding) -> str:
    """Return what decided about a finding, with its reason: a rule, a VEX statement, or the policy's default."""
    decision, vex = finding.decision, finding.vex
    said = f"VEX {vex.status}" + (f", {vex.justification}" if vex.justification else "") if vex else ""
    if decision.by == "rule":
        return f"rule {decision.rule}: {decision.reason}"
    return said if decision.by == "vex" and said else f"{decision.by}{f' ({said})' if said else ''}"


def plain(text: str) -> str:
    r"""Return text in printable ASCII; every other character, and a backslash, as its escape (``\n``, ``\u202e``)."""
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return text.encode("unicode_escape").decode("ascii")


def joined(texts: Iterable[str]) -> str:
    """Return texts as one, in printable ASCII."""
    return ", ".join(plain(text) for text in texts)


def _gravity(finding: Finding) -> tuple[int, int, int, str, str]:
    level, action = finding.severity.level, finding.decision.action
    place = LEVELS.index(level) if level in LEVELS else -1
    return (
        ACTIONS.index(action) if action in ACTIONS else -1,
        -place,
        -(finding.severity.score or 0),
        finding.id,
        finding.component.purl,
    )
