"""Check 9: a medium has every file that was signed for, unchanged, and no other (docs/format.md section 5)."""

from collections.abc import Iterable, Mapping

from kit import kitfile, layout
from kit.bytes import digest
from kit.errors import DigestMismatch, FileMissing, FileUndeclared, SizeMismatch
from kit.manifest import Manifest
from verifier.medium import Medium


def check_scan(medium: Medium, evidence: Iterable[str], bundles: Iterable[str] = ()) -> None:
    """Hold a lone scan directory against its four files and its RootPack.

    Beside them it may have its ``evidence``, by name, and Sigstore ``bundles`` that were held against its envelope, by
    path.
    """
    expected = {layout.MANIFEST_FILE, layout.MANIFEST_ENVELOPE, layout.INPUT_BUNDLE, layout.OUTPUT_BUNDLE}
    for path in sorted(expected - set(medium.sizes)):
        raise FileMissing(path=path)
    expected |= {f"{layout.EVIDENCE_DIRECTORY}/{name}" for name in evidence} | set(bundles)
    for path in medium.sizes:
        if path not in expected and not path.startswith(f"{layout.ROOTPACK_DIRECTORY}/"):
            raise FileUndeclared(path=path)


def check_kit(
    medium: Medium, kit: kitfile.Kit, scan: str, manifest: Manifest, stamps: Iterable[str] = ()
) -> dict[str, object]:
    """Hold the medium against KIT.json and return the evidence; ``scan`` is the directory of the scan in question.

    ``stamps`` are the paths of time stamps over the kit's envelope, which hold and which no list can name.
    This scan's bundles are hashed by the next steps; files of other scans only need to be there, in their size.
    """
    listed = {file.path: file for file in kit.files}
    unlisted = {layout.KIT_FILE, layout.KIT_ENVELOPE, layout.SUMS_FILE}
    for path in sorted((set(listed) | unlisted) - set(medium.sizes)):
        raise FileMissing(path=path)
    for path in medium.sizes:
        if path not in listed and path not in {*unlisted, *stamps}:
            raise FileUndeclared(path=path)
    bundles = {
        f"{scan}/{layout.INPUT_BUNDLE}": manifest.bundles.input.archive_digest,
        f"{scan}/{layout.OUTPUT_BUNDLE}": manifest.bundles.output.archive_digest,
    }
    others = 0
    for path, file in listed.items():
        if medium.sizes[path] != file.size:
            raise SizeMismatch(path=path, expected=file.size, found=medium.sizes[path])
        if path.startswith(f"{layout.SCANS_DIRECTORY}/") and not path.startswith(f"{scan}/"):
            others += 1
        elif path not in bundles:
            found, _ = medium.digest(path)
            if found != file.digest:
                raise DigestMismatch(path=path, expected=file.digest, found=found)
    _check_bundles(listed, bundles)
    check_sums(medium, kit)
    evidence: dict[str, object] = {"files": len(listed)}
    if others:
        evidence["otherScansNotHashed"] = others
    return evidence


def _check_bundles(listed: Mapping[str, kitfile.File], bundles: Mapping[str, str]) -> None:
    """KIT.json and the manifest must mean the same bundles, which are hashed once, as the manifest's."""
    for path, expected in bundles.items():
        file = listed.get(path)
        if file is None:
            raise FileMissing(path=path, detail="is not in the signed list")
        if file.digest != expected:
            raise DigestMismatch(path=path, expected=expected, found=file.digest)


def check_sums(medium: Medium, kit: kitfile.Kit) -> None:
    """Hold SHA256SUMS, which is derived from what is signed, against just that, byte for byte."""
    entries = [(file.path, file.digest) for file in kit.files]
    entries += [(path, medium.digest(path)[0]) for path in (layout.KIT_FILE, layout.KIT_ENVELOPE)]
    expected = kitfile.sums(entries)
    if medium.sizes[layout.SUMS_FILE] != len(expected):
        raise SizeMismatch(path=layout.SUMS_FILE, expected=len(expected), found=medium.sizes[layout.SUMS_FILE])
    if medium.read(layout.SUMS_FILE, limit=len(expected)) != expected:
        raise DigestMismatch(path=layout.SUMS_FILE, expected=digest.of_bytes(expected))
