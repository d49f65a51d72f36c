"""A kit's verifiers and their bills of materials: the two tell of the same files, or the kit is refused."""

import json
from pathlib import Path

import pytest

from builder import freeze_sbom
from kit.bytes import digest
from kit.errors import DigestMismatch, FileMissing, FileUndeclared, MalformedDocument
from verifier import programs


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "linux-x86_64"
    (made / "man").mkdir(parents=True)
    (made / "stella").write_bytes(b"program")
    (made / "man" / "stella.1").write_bytes(b"page")
    freeze_sbom.write(made, [])
    return made


def files_of(directory: Path) -> dict[str, str]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): digest.of_file(path)[0] for path in found}


def check(directory: Path) -> None:
    programs.check_bill((directory / programs.BILL).read_bytes(), files_of(directory), "bill")


def test_a_bill_of_its_files_holds(directory: Path) -> None:
    check(directory)
    bill = json.loads((directory / programs.BILL).read_bytes())
    assert bill["metadata"]["component"]["hashes"][0]["content"] == digest.hex_of(digest.of_bytes(b"program"))


def test_another_program_is_refused(directory: Path) -> None:
    (directory / "stella").write_bytes(b"another")
    with pytest.raises(DigestMismatch):
        check(directory)


def test_a_file_that_the_bill_does_not_name_is_refused(directory: Path) -> None:
    (directory / "more").touch()
    with pytest.raises(FileUndeclared):
        check(directory)


def test_a_file_that_only_the_bill_names_is_refused(directory: Path) -> None:
    (directory / "man" / "stella.1").unlink()
    with pytest.raises(FileMissing):
        check(directory)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"bomFormat":"SPDX","specVersion":"1","components":[]}',
        b'{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"file","name":"stella"}]}',
        (
            b'{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"file","name":"stella",'
            b'"hashes":[{"alg":"SHA-256","content":"0"}]}]}'
        ),
    ],
)
def test_what_is_no_bill_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedDocument):
        programs.check_bill(data, {}, "bill")


def test_a_run_names_program_and_bill(world, tmp_path: Path, directory: Path, replay) -> None:
    kit = world.build_kit(tmp_path / "kit", programs=[directory])
    result, _ = replay(kit)
    (files,) = [one for one in result.checks if one.name == "files"]
    (told,) = files.evidence["programs"]
    bill = digest.of_file(directory / programs.BILL)[0]
    assert told == {"platform": "linux-x86_64", "program": digest.of_bytes(b"program"), "bill": bill}


def test_a_kit_with_a_wrong_bill_is_not_built(world, tmp_path: Path, directory: Path) -> None:
    (directory / "stella").write_bytes(b"another")
    with pytest.raises(DigestMismatch):
        world.build_kit(tmp_path / "kit", programs=[directory])
