"""No name that the real advisory data have is refused, nor that of a component of a real SBOM."""

import json
import os
import zipfile
from pathlib import Path

import pytest

from scanner.identity import NotEvaluated
from scanner.identity.names import is_name
from scanner.sbom import read_sbom

DATA = Path(os.environ.get("STELLA_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.fixture(scope="module")
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip("no test data: set STELLA_TEST_DATA")
    return DATA


@pytest.mark.parametrize("folder", ["AlmaLinux8", "Alpine", "Go", "PyPI"])
def test_every_name_of_the_advisory_data_can_be_one(data: Path, folder: str) -> None:
    names = set()
    for path in sorted((data / "osv" / folder).glob("*/all.zip"))[-1:]:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                for entry in json.loads(archive.read(member)).get("affected", ()):
                    if "package" in entry:
                        names.add((entry["package"]["ecosystem"], entry["package"]["name"]))
    assert names
    assert [one for one in sorted(names) if not is_name(*one)] == []


def test_no_component_of_a_real_sbom_has_a_name_that_is_refused(data: Path) -> None:
    for path in sorted((data / "sboms").glob("*.json")):
        components = read_sbom(path.read_bytes()).components
        assert components
        refused = [
            one.purl for one in components if isinstance(one.package, NotEvaluated) and one.package.reason == "bad-purl"
        ]
        assert refused == []
