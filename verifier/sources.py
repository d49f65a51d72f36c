"""Outputs that an operator names for a report or a difference: those of a run, of a recorded scan, of an output bundle.

Whatever is read is held against the digest that a result or manifest has for it. How far that result or manifest can
itself be relied on is told beside the outputs and never more than was checked here.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from kit import layout
from kit import manifest as manifests
from kit import result as results
from kit.bundle import BundleReader
from kit.bytes import canonical, digest
from kit.errors import DigestMismatch, FileMissing
from kit.trust.keys import PublicKey
from scanner import outputs
from scanner.export import Evaluated, Standing, bom_link
from scanner.outputs import FindingsDocument, VerdictDocument
from verifier import evidence, replay
from verifier.medium import read_file

if TYPE_CHECKING:
    from scanner.evaluate import EvaluationInput

_NOTES = {
    results.INTACT: "signatures and bytes hold, but the scan was not replayed",
    results.DIFFERS: "the replay gave other outputs than the recorded ones; these are the replayed ones",
    results.WHAT_IF: "these are the outputs of a what-if replay and belong to no recorded scan",
    results.REFUSED: "a check failed",
}
RECORDED = "RECORDED"


class Source(msgspec.Struct, frozen=True):
    """Outputs by path, and the digests of all, also of those that are not at hand.

    ``inputs`` are those of a scan whose input bundle is there; ``engine`` is the digest of the engine that made the
    outputs, where it is known.
    """

    kind: str
    members: Mapping[str, bytes]
    digests: Mapping[str, str]
    standing: Standing
    version: str
    inputs: "EvaluationInput | None" = None
    engine: str | None = None


@contextmanager
def opened(path: Path, key: PublicKey | None) -> Iterator[Source]:
    """Open a run's directory, a scan's directory, its ``manifest.json`` or its output bundle.

    ``key`` is the site's; without it a run's result is anybody's word. Raises the errors of reading and verifying
    each of them.
    """
    if (path / evidence.RESULT_FILE).is_file():
        yield _run(path, key)
        return
    inside = path.name in {layout.MANIFEST_FILE, layout.OUTPUT_BUNDLE} and not path.is_dir()
    with ExitStack() as bundles:
        yield _scan(path.parent if inside else path, bundles, with_inputs=path.name != layout.OUTPUT_BUNDLE)


def evaluated(source: Source, version: str) -> Evaluated:
    """Return what is exported of a source; FileMissing where it keeps no findings, as a refused run does."""
    for name in (outputs.FINDINGS, outputs.VERDICT):
        if name not in source.members:
            raise FileMissing(path=name, detail=f"a run that ended {source.standing.word} kept no such output")
    return Evaluated(
        findings=canonical.decode_record(source.members[outputs.FINDINGS], FindingsDocument),
        verdict=canonical.decode_record(source.members[outputs.VERDICT], VerdictDocument),
        standing=source.standing,
        version=version,
        bom_link=bom_link(source.inputs.sbom) if source.inputs else None,
    )


def _run(path: Path, key: PublicKey | None) -> Source:
    result = results.parse_result(evidence.read_run(path, key))
    digests = {entry.path: entry.replayed for entry in result.outputs if entry.replayed is not None}
    members = {}
    for name, expected in sorted(digests.items()):
        place = path / evidence.OUTPUTS / name
        if place.is_file():
            members[name] = read_file(place, limit=replay.MAX_DOCUMENT)
            found = digest.of_bytes(members[name])
            if found != expected:
                raise DigestMismatch(path=name, expected=expected, found=found)
    return Source(
        kind="run",
        members=members,
        digests=digests,
        standing=_standing(result, checked=key is not None),
        version=result.verifier.version,
        engine=result.verifier.digest,
    )


def _standing(result: results.Result, *, checked: bool) -> Standing:
    if result.verdict == results.VERIFIED and checked:
        return Standing(results.VERIFIED, verified=True)
    if result.verdict == results.VERIFIED:
        note = "the result says VERIFIED, but its signature was not checked here"
        return Standing("UNCHECKED", verified=False, note=note)
    return Standing(result.verdict, verified=False, note=_NOTES.get(result.verdict, "not a strict replay"))


def _scan(directory: Path, bundles: ExitStack, *, with_inputs: bool) -> Source:
    manifest = manifests.parse(read_file(directory / layout.MANIFEST_FILE, limit=manifests.MAX_BYTES))
    output = _bundle(directory, layout.OUTPUT_BUNDLE, manifest, bundles)
    members = {
        member.path: output.read(member.path, limit=replay.MAX_DOCUMENT) for member in manifest.bundles.output.members
    }
    inputs = None
    if with_inputs and (directory / layout.INPUT_BUNDLE).is_file():
        inputs = replay.evaluation_input(manifest, _bundle(directory, layout.INPUT_BUNDLE, manifest, bundles))
    engine = next(tool for tool in manifest.inputs.tools if tool.name == manifests.ENGINE_TOOL)
    return Source(
        kind="scan",
        members=members,
        digests={member.path: member.digest for member in manifest.bundles.output.members},
        standing=Standing(
            RECORDED, verified=False, note="the bytes are those of the manifest, whose signatures were not checked"
        ),
        version=engine.version,
        inputs=inputs,
        engine=engine.sha256,
    )


def _bundle(directory: Path, name: str, manifest: manifests.Manifest, opened: ExitStack) -> BundleReader:
    if not (directory / name).is_file():
        raise FileMissing(path=name)
    bundles = manifest.bundles
    reader = BundleReader(directory / name, bundles.output if name == layout.OUTPUT_BUNDLE else bundles.input)
    opened.callback(reader.close)
    reader.verify()
    return reader
