"""The verifiers that a kit carries, and their bills of materials: ``bin/<os>-<arch>/stella.cdx.json``.

A bill is CycloneDX; the verifier reads of it which file has which digest, and holds that against the signed list.
"""

import re
from collections.abc import Mapping

import msgspec

from kit import kitfile, layout
from kit.bytes import digest
from kit.errors import DigestMismatch, FileMissing, FileUndeclared, MalformedDocument
from verifier.medium import Medium

PROGRAM, BILL = "stella", "stella.cdx.json"
MAX_BILL = 4 << 20

_FILE, _ALGORITHM = "file", "SHA-256"
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)


class _Hash(msgspec.Struct, frozen=True):
    alg: str
    content: str


class _Component(msgspec.Struct, frozen=True):
    type: str
    name: str
    hashes: tuple[_Hash, ...] = ()


class _Bill(msgspec.Struct, frozen=True, rename="camel"):
    bom_format: str
    spec_version: str
    components: tuple[_Component, ...]


def check(medium: Medium, kit: kitfile.Kit) -> list[dict[str, object]]:
    """Hold the bill of each verifier in the kit against the signed list; return platform, program and bill of each.

    To be called before the medium's files are hashed: what is judged here is what is hashed there. A kit's verifier may
    lack a bill, which is then said.
    """
    described: list[dict[str, object]] = []
    for platform, files in sorted(_platforms(kit).items()):
        path = f"{layout.PROGRAM_DIRECTORY}/{platform}/{BILL}"
        entry: dict[str, object] = {"platform": platform, "program": files.get(PROGRAM, "none"), "bill": "none"}
        if BILL in files:
            check_bill(medium.read(path, limit=MAX_BILL), files, path)
            entry["bill"] = files[BILL]
        described.append(entry)
    return described


def check_bill(data: bytes, files: Mapping[str, str], name: str) -> None:
    """Hold a bill against digests by path; the bill itself is in no bill.

    Raises :class:`MalformedDocument`, and :class:`FileMissing`, :class:`FileUndeclared` or :class:`DigestMismatch`
    where the two tell of different files.
    """
    try:
        bill = msgspec.json.decode(data, type=_Bill)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedDocument(path=name, detail=str(error)[:120]) from None
    if bill.bom_format != "CycloneDX":
        raise MalformedDocument(path=name, pointer="/bomFormat", expected="CycloneDX", found=bill.bom_format[:40])
    told = {one.name: _digest(one, name) for one in bill.components if one.type == _FILE}
    for path in sorted(told.keys() | files.keys() - {BILL}):
        if path not in files:
            raise FileMissing(path=path[:200], detail=f"is in {name} only")
        if path not in told:
            raise FileUndeclared(path=path, detail=f"is not in {name}")
        if told[path] != files[path]:
            raise DigestMismatch(path=path, expected=told[path], found=files[path], detail=f"by {name}")


def _digest(one: _Component, name: str) -> str:
    found = [entry.content for entry in one.hashes if entry.alg == _ALGORITHM]
    if len(found) != 1 or not _HEX.fullmatch(found[0]):
        raise MalformedDocument(path=name, expected=f"one {_ALGORITHM} of each file", detail=ascii(one.name)[:80])
    return digest.of_raw(bytes.fromhex(found[0]))


def _platforms(kit: kitfile.Kit) -> dict[str, dict[str, str]]:
    """Return the digests of the files below ``bin/`` by platform, and by path there."""
    found: dict[str, dict[str, str]] = {}
    for file in kit.files:
        room, _, rest = file.path.partition("/")
        platform, _, path = rest.partition("/")
        if room == layout.PROGRAM_DIRECTORY and path:
            found.setdefault(platform, {})[path] = file.digest
    return found
