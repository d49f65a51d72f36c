"""What a release is made of: no file asks for a newer C library than promised, and the single file for none."""

import json
import subprocess

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from builder import freeze
from kit.bytes import digest
from tests.release_hosts import elf_files, needs_of
from tools.release.cpython import GLIBC
from verifier import programs


def test_no_file_needs_a_newer_c_library(released, tool) -> None:
    tool("readelf")
    most = tuple(map(int, GLIBC.split(".")))
    found = {path.name: needs_of(path)[1] for path in elf_files(released.folder_program.parent)}
    assert len(found) > 20
    assert {name: asked for name, asked in found.items() if asked > most} == {}


def test_the_single_file_asks_for_no_library(released, tool) -> None:
    said = subprocess.run(
        [tool("readelf"), "-ld", released.one_file], capture_output=True, text=True, check=True
    ).stdout
    assert "INTERP" not in said
    assert "NEEDED" not in said


@pytest.mark.parametrize("most", [26_000_000])
def test_the_single_file_is_within_its_budget(released, most) -> None:
    assert released.one_file.stat().st_size <= most


def test_no_file_names_the_place_where_it_was_built(released) -> None:
    place = str(freeze.__file__).encode().rpartition(b"/builder/")[0]
    files = [path for path in released.directory.rglob("*") if path.is_file()]
    assert [path.name for path in files if place in path.read_bytes()] == []


def test_the_bill_is_valid_and_names_every_library_and_file(released) -> None:
    text = (released.directory / programs.BILL).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    names = {inner["name"] for one in bill["components"] for inner in (one, *one.get("components", ()))}
    assert {
        "python3.11",
        "zlib",
        "libffi",
        "libgcc-s1",
        "libc6",
        "musl",
        "lz4",
        "openssl",
        "libsodium",
        "zstd",
    } <= names
    files = {
        path.relative_to(released.directory).as_posix(): digest.of_file(path)[0]
        for path in released.directory.rglob("*")
        if path.is_file()
    }
    programs.check_bill(text.encode(), files, programs.BILL)
    without = [one["name"] for one in bill["components"] if one["type"] != "file" and not one.get("licenses")]
    assert without == []
    mended = next(one for one in bill["components"] if one["name"] == "python3.11")["pedigree"]["patches"]
    assert "CVE-2026-4224" in {each.get("id") for one in mended for each in one["resolves"]}
    assert all(one["analysis"]["detail"] for one in bill["vulnerabilities"])
