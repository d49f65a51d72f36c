"""What a manifest declares about a scan beside its inputs' digests, held against what is used.

The seed, the scan's own description, the compiled policy's digest and the verifier that is asked for are signed, so
whoever relies on them must be able to. See docs/format.md section 3.
"""

import re

from kit import layout
from kit import manifest as manifests
from kit.bundle import MemberSource
from kit.bytes import canonical
from kit.errors import DigestMismatch, MalformedDocument, StellaError, VerifierTooOld
from kit.manifest import Manifest
from scanner import policy as policies

MAX_DECLARATION = 1 << 16
_VERSION = re.compile(r"(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})", re.ASCII)


def check_minimum(manifest: Manifest, running: str) -> None:
    """Refuse a scan that asks for a newer verifier than the running one (:class:`VerifierTooOld`)."""
    wanted = manifest.engine.minimum_verifier
    if _version(wanted, "/engine/minimumVerifier") > _version(running, "/verifier"):
        raise VerifierTooOld(path=layout.MANIFEST_FILE, expected=f"{wanted} or newer", found=running)


def check(manifest: Manifest, source: MemberSource) -> None:
    """Hold the declarations of a manifest and of its verified input bundle against each other.

    Raises :class:`MalformedDocument` for a seed, an environment or a description of the scan that is not this scan's,
    :class:`DigestMismatch` for another compiled policy than the named one, and the errors of a policy that is none.
    """
    seed = manifests.seed(manifest.scan.id, manifest.subject.layers)
    _hold(source, layout.SEEDS_MEMBER, {"seed": seed})
    _hold(source, layout.ENVIRONMENT_MEMBER, {"seed": seed, "locale": "C", "timezone": "UTC"})
    described = {
        "id": manifest.scan.id,
        "time": manifest.scan.time,
        "subject": manifest.subject.name,
        "contract": manifest.engine.contract,
    }
    _hold(source, layout.SCAN_MEMBER, described)
    path = manifest.inputs.rules[0].path
    policy = policies.load(source.read(path, limit=policies.MAX_BYTES), time=manifest.scan.time)
    if policy.digest != manifest.policy.digest:
        raise DigestMismatch(path=path, pointer="/policy/digest", expected=manifest.policy.digest, found=policy.digest)
    if policy.document.name != manifest.policy.name:
        raise MalformedDocument(pointer="/policy/name", expected=policy.document.name, found=manifest.policy.name[:64])


def _hold(source: MemberSource, path: str, expected: dict[str, str]) -> None:
    """Refuse a document of the input bundle whose members are not the expected ones."""
    try:
        document = canonical.decode(source.read(path, limit=MAX_DECLARATION), max_bytes=MAX_DECLARATION)
    except StellaError as error:
        error.details.setdefault("path", path)
        raise
    found = document if isinstance(document, dict) else {}
    for name, value in expected.items():
        if found.get(name) != value:
            told = str(found.get(name, "not recorded"))[:80]
            raise MalformedDocument(path=path, pointer=f"/{name}", expected=value[:80], found=told)


def _version(text: str, pointer: str) -> tuple[int, ...]:
    match = _VERSION.fullmatch(text)
    if match is None:
        raise MalformedDocument(pointer=pointer, expected="MAJOR.MINOR.PATCH", found=text[:32])
    return tuple(map(int, match.groups()))
