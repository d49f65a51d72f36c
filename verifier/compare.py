"""stella diff: two recorded scans held against one another, with the cause of each difference."""

from dataclasses import dataclass
from pathlib import Path

from kit import layout
from kit import manifest as manifests
from kit.bundle import BundleReader
from kit.errors import FileMissing
from scanner.difference import Difference
from scanner.explain import explain
from verifier import replay
from verifier.medium import read_file


@dataclass(frozen=True, slots=True)
class Scan:
    """A recorded scan whose bundles are those of its manifest; its signatures were not looked at."""

    manifest: manifests.Manifest
    input: BundleReader
    output: BundleReader


def open_scan(path: Path) -> Scan:
    """Open the scan of a directory or of a ``manifest.json`` and check its bundles against that manifest."""
    directory = path.parent if path.name == layout.MANIFEST_FILE else path
    manifest = manifests.parse(read_file(directory / layout.MANIFEST_FILE, limit=manifests.MAX_BYTES))
    readers = []
    bundles = ((layout.INPUT_BUNDLE, manifest.bundles.input), (layout.OUTPUT_BUNDLE, manifest.bundles.output))
    for name, record in bundles:
        if not (directory / name).is_file():
            raise FileMissing(path=name)
        reader = BundleReader(directory / name, record)
        reader.verify()
        readers.append(reader)
    return Scan(manifest, *readers)


def diff(first: Scan, second: Scan) -> Difference:
    """Return the difference of two scans' recorded outputs, explained by both scans' inputs."""
    engines = [
        next(tool.sha256 for tool in scan.manifest.inputs.tools if tool.name == manifests.ENGINE_TOOL)
        for scan in (first, second)
    ]
    outputs = [
        {
            member.path: scan.output.read(member.path, limit=replay.MAX_DOCUMENT)
            for member in scan.manifest.bundles.output.members
        }
        for scan in (first, second)
    ]
    inputs = [replay.evaluation_input(scan.manifest, scan.input) for scan in (first, second)]
    return explain(outputs[0], outputs[1], inputs[0], inputs[1], engine_changed=engines[0] != engines[1])
