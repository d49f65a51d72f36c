"""in-toto Statement v1, the payload of our envelopes (in-toto attestation spec v1; docs/format.md section 4.3).

A statement binds names to SHA-256 digests; names are unique, and it holds no member beyond those of the specification
that we use.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from kit.bytes import canonical, digest
from kit.errors import LimitExceeded, MalformedDocument, UnsupportedVersion

TYPE = "https://in-toto.io/Statement/v1"
MAX_BYTES = 64 << 20
MAX_SUBJECTS = 1024

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class _DigestSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class _Subject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: _Text
    digest: _DigestSet


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: str = msgspec.field(name="_type")
    subject: tuple[_Subject, ...]
    predicate_type: _Text = msgspec.field(name="predicateType")
    predicate: dict[str, Any]


class Statement(msgspec.Struct, frozen=True):
    """A statement: digests by subject name (``sha256:<hex>``), and the predicate as plain JSON values."""

    subjects: Mapping[str, str]
    predicate_type: str
    predicate: Mapping[str, Any]


def make(subjects: Mapping[str, str], predicate_type: str, predicate: msgspec.Struct | Mapping[str, Any]) -> bytes:
    """Return a canonical statement; subjects ascend by name."""
    plain = msgspec.to_builtins(predicate) if isinstance(predicate, msgspec.Struct) else dict(predicate)
    return canonical.encode(
        {
            "_type": TYPE,
            "predicate": plain,
            "predicateType": predicate_type,
            "subject": [
                {"digest": {"sha256": digest.hex_of(value)}, "name": name} for name, value in sorted(subjects.items())
            ],
        }
    )


def parse(payload: bytes) -> Statement:
    """Return the statement of a verified payload, which need not be canonical.

    Raises :class:`UnsupportedVersion` for another statement type, and the reading errors of docs/format.md section
    1.1.
    """
    document = canonical.decode_record(payload, _Document, max_bytes=MAX_BYTES, canonical=False)
    if document.type != TYPE:
        raise UnsupportedVersion(pointer="/_type", expected=TYPE, found=ascii(document.type)[1:-1][:160])
    if not document.subject:
        raise MalformedDocument(pointer="/subject", detail="a statement has at least one subject")
    if len(document.subject) > MAX_SUBJECTS:
        raise LimitExceeded(pointer="/subject", expected=MAX_SUBJECTS, found=len(document.subject))
    subjects: dict[str, str] = {}
    for at, subject in enumerate(document.subject):
        if subject.name in subjects:
            raise MalformedDocument(pointer=f"/subject/{at}/name", detail="a subject's name occurs twice")
        subjects[subject.name] = "sha256:" + subject.digest.sha256
    return Statement(subjects, document.predicate_type, document.predicate)
