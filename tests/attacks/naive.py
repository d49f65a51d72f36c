"""A verifier as one writes it in an afternoon: what each threat test refuses, this one accepts.

It is here to prove that the tests attack something. Each of its mistakes is found in real verifiers; the line that
makes it says which threat of docs/threat-model.md lives on it.
"""

import base64
import hashlib
import json
import socket
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from kit import layout
from kit.bytes import merkle
from kit.ledger import proof
from kit.trust import dsse
from kit.trust.keys import PublicKey


class Naive:
    """Accepts or refuses kits; it remembers the latest time that it has read anywhere, and nothing else."""

    def __init__(self) -> None:
        self.latest = ""

    def accepts(self, kit: Path, clock: datetime) -> bool:
        """Tell whether everything in a kit fits everything else in it."""
        now = max(f"{clock:%Y-%m-%dT%H:%M:%SZ}", self.latest)  # T8: a time that anybody wrote is the time from now on
        metadata = kit / layout.ROOTPACK_DIRECTORY / "metadata"
        timestamp = json.loads((metadata / "timestamp.json").read_bytes())["signed"]  # T4, T6: the kit's own RootPack
        if timestamp["expires"] <= now:  # T7: of the clock alone
            return False
        listed = json.loads((kit / layout.KIT_FILE).read_bytes())  # T13: the last of two members
        if not _sums_fit(kit) or _age_in_hours(listed["createdAt"], now) > listed["stalenessWindowHours"]:
            return False
        keyring = _newest(kit, "keyring.json")
        scans = sorted((kit / layout.SCANS_DIRECTORY).iterdir())
        envelopes = {kit / layout.KIT_ENVELOPE: kit / layout.KIT_FILE}
        envelopes |= {scan / layout.MANIFEST_ENVELOPE: scan / layout.MANIFEST_FILE for scan in scans}
        for envelope, document in envelopes.items():
            if not _signed(envelope.read_bytes(), document, keyring, listed["createdAt"]):
                return False
        self.latest = max(self.latest, listed["createdAt"], timestamp.get("x-issued", ""))
        return True  # T5: whatever came before


def _signed(data: bytes, document: Path, keyring: dict[str, object], created: str) -> bool:
    envelope = json.loads(data)  # T13
    payload = base64.b64decode(envelope["payload"])
    message = dsse.pae(dsse.IN_TOTO, payload)  # T1: the type that it expects, whatever stands in the envelope
    entries: list[dict[str, str]] = keyring["keys"]  # type: ignore[assignment]
    keys = [
        PublicKey.from_spki(base64.b64decode(entry["spki"]))
        for entry in entries
        # T12: a key counts at the time that its holder has written; a revocation without looking at it
        if entry["usage"] == "kit" and entry["validFrom"] <= created <= entry.get("validUntil", "9")
    ]
    good = 0
    for signature in envelope["signatures"]:
        value = base64.b64decode(signature["sig"])
        good += any(key.verify(message, value) for key in keys)  # T2, T3: signatures, not keys
    thresholds: dict[str, int] = keyring["thresholds"]  # type: ignore[assignment]
    digests = [subject["digest"]["sha256"] for subject in json.loads(payload)["subject"]]
    return good >= thresholds["kit"] and hashlib.sha256(document.read_bytes()).hexdigest() in digests


def _sums_fit(kit: Path) -> bool:
    """Check the list that nobody signed; T14: it holds whatever the medium holds."""
    lines = [line.split("  ", 1) for line in (kit / layout.SUMS_FILE).read_text().splitlines()]
    return all(hashlib.sha256((kit / path).read_bytes()).hexdigest() == digits for digits, path in lines)


def _newest(kit: Path, name: str) -> dict[str, object]:
    (path,) = (kit / layout.ROOTPACK_DIRECTORY / "targets").glob(f"*.{name}")
    document: dict[str, object] = json.loads(path.read_bytes())
    return document


def _age_in_hours(created: str, now: str) -> float:
    return (datetime.fromisoformat(now) - datetime.fromisoformat(created)).total_seconds() / 3600


def believes_log(data: bytes, keys: Iterable[PublicKey], *, leaf: bytes | None = None) -> bool:
    """Tell whether an inclusion proof holds: by a signature of a known key, and by the path up to the root.

    T9: the index is not held against the size. T10: the names of key and log are not looked at. T11: the entry is what
    the proof says that it is, unless ``leaf`` is given.
    """
    read = proof.parse_inclusion(data, "proof")
    text, _, lines = read.checkpoint.rpartition(b"\n\n")
    message = text + b"\n"
    signatures = [base64.b64decode(line.split(b" ")[2])[4:] for line in lines.splitlines()]
    if not any(key.verify(message, value) for key in keys for value in signatures):
        return False
    _, size, root = message.decode().splitlines()[:3]
    found, index, last = merkle.leaf_hash(leaf or read.extra or b""), read.index, int(size) - 1
    for sibling in read.hashes:
        if index % 2 or (index == last and index):
            found = merkle.node_hash(sibling, found)
            while index and not index % 2:
                index, last = index // 2, last // 2
        else:
            found = merkle.node_hash(found, sibling)
        index, last = index // 2, last // 2
    return found == base64.b64decode(root)


def opens_sockets() -> bool:
    """T15: tell whether this process can make a socket."""
    try:
        socket.socket().close()
    except OSError:
        return False
    return True
