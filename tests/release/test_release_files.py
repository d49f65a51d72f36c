"""What a release is made of: no file asks for a newer C library than promised, and the single file for none."""

import re
import subprocess

import pytest

from tools.release.cpython import GLIBC


def elf_files(directory):
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    yield path


def asked(path, tool):
    said = subprocess.run([tool("objdump"), "-T", path], capture_output=True, text=True, check=False).stdout
    return {tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_([0-9.]+)", said)}


def test_no_file_needs_a_newer_c_library(released, tool) -> None:
    most = tuple(map(int, GLIBC.split(".")))
    files = list(elf_files(released.folder_program.parent))
    assert len(files) > 20
    assert {path.name: max(asked(path, tool)) for path in files if max(asked(path, tool), default=(0,)) > most} == {}


def test_the_single_file_asks_for_no_library(released, tool) -> None:
    said = subprocess.run(
        [tool("readelf"), "-ld", released.one_file], capture_output=True, text=True, check=True
    ).stdout
    assert "INTERP" not in said
    assert "NEEDED" not in said


@pytest.mark.parametrize("most", [26_000_000])
def test_the_single_file_is_within_its_budget(released, most) -> None:
    assert released.one_file.stat().st_size <= most
