"""What of an event is a leaf of the audit tree, and what of it is kept apart (docs/locker.md, "Audit log").

A leaf holds no personal data: a name or a text that somebody typed is in it as a salted commitment, and itself in a
table that may be purged. Without the salt nobody can tell a short text by trying.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from kit.bytes import canonical, merkle
from locker.timeline_kinds import is_typed

SCHEMA_VERSION = "1.0"
ACTOR = "actor"
"""Under this the actor's name is kept; no member of details is, since those begin with ``details.``."""
COMMITMENT = "commitment"
SALT_SIZE = 32


@dataclass(frozen=True, slots=True)
class Event:
    """An event as its row has it."""

    sequence: int
    tenant: str
    at: datetime
    category: str
    kind: str
    details: Mapping[str, object]
    actor: str | None = None
    version: str | None = None
    request: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A text kept apart from its event: where it belongs, its salt in hexadecimal, and itself."""

    member: str
    salt: str
    text: str

    @property
    def commitment(self) -> str:
        """Return what the leaf says instead of the text."""
        return "sha256:" + hashlib.sha256(bytes.fromhex(self.salt) + self.text.encode()).hexdigest()


def part(
    kind: str, details: Mapping[str, object], entropy: Callable[[int], bytes]
) -> tuple[dict[str, object], list[Text]]:
    """Return an event's details without what people typed, and the texts that were taken out."""
    kept: dict[str, object] = {}
    texts: list[Text] = []
    for name, value in details.items():
        if isinstance(value, str) and is_typed(kind, name):
            text = commit(f"details.{name}", value, entropy)
            texts.append(text)
            kept[name] = {COMMITMENT: text.commitment}
        else:
            kept[name] = value
    return kept, texts


def commit(member: str, text: str, entropy: Callable[[int], bytes]) -> Text:
    """Return a text with a fresh salt."""
    return Text(member, entropy(SALT_SIZE).hex(), text)


def encode(event: Event) -> bytes:
    """Return an event's leaf: canonical JSON."""
    leaf: dict[str, object] = {
        "schemaVersion": SCHEMA_VERSION,
        "sequence": event.sequence,
        "tenant": event.tenant,
        "at": moment(event.at),
        "category": event.category,
        "kind": event.kind,
        "details": dict(event.details),
    }
    optional = {ACTOR: event.actor, "version": event.version, "request": event.request}
    return canonical.encode(leaf | {name: value for name, value in optional.items() if value is not None})


def hash_of(event: Event) -> bytes:
    """Return the hash of an event's leaf."""
    return merkle.leaf_hash(encode(event))


def moment(at: datetime) -> str:
    """Return a time as leaves write it: UTC, with microseconds."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
