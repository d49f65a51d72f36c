"""The file in which a site's results travel back: one DSSE envelope line, then the bundle that it describes.

The first line is the envelope (canonical JSON and a line feed), the rest of the file is a bundle of section 1.6 with
the members ``runs/<scan-id>/<run-id>/...``. The envelope's statement carries the bundle's record, so that one signature
covers every byte (docs/format.md section 8).
"""

import base64
from collections.abc import Sequence
from typing import BinaryIO

import msgspec

from kit.bundle import BundleRecord, check_record
from kit.bytes import canonical
from kit.errors import LimitExceeded, MalformedDocument, NotSiteResults, UnsupportedVersion
from kit.trust import dsse, statement
from kit.trust.keys import PublicKey, Signer

PREDICATE_TYPE = "https://stella-ops.org/attestations/site-results/1"
SUBJECT = "runs.tar.zst"
SCHEMA_VERSION = "1.0"
MAX_ENVELOPE = 8 << 20
_CHUNK = 1 << 20

_STATEMENT = b'{"_type":"%b","predicate":{"bundle":{' % statement.TYPE.encode()
BEGINNING = b'{"payload":"' + base64.b64encode(_STATEMENT[: len(_STATEMENT) // 3 * 3])
"""The first bytes of every such file: canonical JSON leaves no other spelling of what comes first in the envelope."""


class RunEntry(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """One run in the file; ``path`` is its directory in the bundle."""

    path: str
    scan_id: str
    run_id: str
    mode: str
    verdict: str
    reason: str
    manifest_digest: str
    result_digest: str


class SeenLog(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """The largest tree of a log that the site was shown as a checkpoint: it is the log's witness."""

    origin: str
    size: int
    root: str


class SiteResults(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """What a site says of the results it sends; ``site`` is the fingerprint of its signing key, ``logs`` ascend."""

    schema_version: str
    site: str
    exported_at: str
    runs: tuple[RunEntry, ...]
    bundle: BundleRecord
    logs: tuple[SeenLog, ...] = ()


def write(target: BinaryIO, results: SiteResults, bundle: BinaryIO, signer: Signer) -> None:
    """Write the file: the envelope that ``signer`` makes over ``results``, then the bytes of ``bundle``."""
    payload = statement.make({SUBJECT: results.bundle.archive_digest}, PREDICATE_TYPE, results)
    target.write(dsse.sign(payload, dsse.IN_TOTO, [signer]) + b"\n")
    while chunk := bundle.read(_CHUNK):
        target.write(chunk)


def check_beginning(source: BinaryIO) -> None:
    """Tell by its first bytes that ``source`` is a file of site results, and go back to where it stood.

    Nothing is verified. Raises :class:`NotSiteResults`, which repeats none of the bytes: they may be somebody's secret.
    """
    start = source.tell()
    found = source.read(len(BEGINNING))
    source.seek(start)
    if found != BEGINNING:
        raise NotSiteResults


def split(source: BinaryIO, bundle: BinaryIO, *, max_bytes: int) -> bytes:
    """Return the envelope line of ``source`` and copy the rest into ``bundle``, at most ``max_bytes`` of it."""
    envelope = source.readline(MAX_ENVELOPE + 1)
    if not envelope.endswith(b"\n"):
        raise MalformedDocument(detail="the file does not begin with an envelope line")
    copied = 0
    while chunk := source.read(_CHUNK):
        copied += len(chunk)
        if copied > max_bytes:
            raise LimitExceeded(expected=max_bytes, detail="the file of site results is too large")
        bundle.write(chunk)
    return envelope[:-1]


def verify(
    envelope: bytes,
    keys: Sequence[PublicKey],
    *,
    threshold: int,
    retired: Sequence[PublicKey] = (),
    compromised: Sequence[PublicKey] = (),
) -> tuple[SiteResults, tuple[PublicKey, ...]]:
    """Return the signed description of the results and the distinct keys that signed it.

    ``keys`` are those of sites that are valid at the time by which the caller judges, ``retired`` those that are not,
    ``compromised`` those in other hands: never counted, but told apart from unknown ones. The signer must be the site
    that the description names. The bundle itself is still to be verified against ``results.bundle``. Raises what
    :func:`kit.trust.dsse.verify` raises.
    """
    verified = dsse.verify(
        envelope,
        keys,
        threshold=threshold,
        payload_types=(dsse.IN_TOTO,),
        name="site results",
        retired=retired,
        compromised=compromised,
        max_bytes=MAX_ENVELOPE,
    )
    parsed = statement.parse(verified.payload)
    if parsed.predicate_type != PREDICATE_TYPE:
        raise UnsupportedVersion(expected=PREDICATE_TYPE, found=parsed.predicate_type[:120])
    results = canonical.convert(parsed.predicate, SiteResults)
    if results.schema_version != SCHEMA_VERSION:
        raise UnsupportedVersion(expected=SCHEMA_VERSION, found=results.schema_version)
    if results.site not in {key.fingerprint for key in verified.signers}:
        raise MalformedDocument(pointer="/predicate/site", detail="the named site did not sign", found=results.site)
    if parsed.subjects != {SUBJECT: results.bundle.archive_digest}:
        raise MalformedDocument(pointer="/subject", expected=results.bundle.archive_digest)
    check_record(results.bundle)
    return results, verified.signers
