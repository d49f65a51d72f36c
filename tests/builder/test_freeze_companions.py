"""Man page, completions and bill of materials beside the frozen program."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import stella
from builder import freeze_companions, freeze_sbom


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("companions")
    freeze_companions.write(place)
    return place


def test_the_man_page_has_every_command(made):
    text = (made / "man/stella.1").read_text()
    for name, command in stella.COMMANDS.items():
        assert (f".SH {name.upper()}" in text) == bool(stella.present(command))
    assert text.isascii()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["ver"], "verify"),
        (["replay", "--stri"], "--strict"),
        (["offline", "in"], "init"),
        (["offline", "init", "--expect"], "--expect-root"),
    ],
)
def test_bash_completes(made, typed, offered):
    script = 'source "$0"; COMP_WORDS=(stella "$@"); COMP_CWORD=$#; _stella; echo "${COMPREPLY[@]}"'
    words = [shutil.which("bash"), "-c", script, made / "completions/stella.bash", *typed]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.split() == [offered]


def test_the_same_files_are_written_twice(made, tmp_path):
    freeze_companions.write(tmp_path)
    files = [path.relative_to(made) for path in made.rglob("*") if path.is_file()]
    assert len(files) == 4
    assert [name for name in files if (made / name).read_bytes() != (tmp_path / name).read_bytes()] == []


def test_our_own_reader_reads_the_bill(tmp_path):
    from scanner.sbom import read_sbom

    freeze_sbom.write(tmp_path, ["cryptography.hazmat", "msgspec/_core.so", "kit.bytes"])
    content = (tmp_path / freeze_sbom.NAME).read_bytes()
    assert [one["name"] for one in json.loads(content)["components"]] == ["python", "cryptography", "msgspec"]
    read = read_sbom(content)
    assert {component.purl.partition("@")[0] for component in read.components if component.purl} >= {"pkg:pypi/msgspec"}
    assert Path(tmp_path, freeze_sbom.NAME).read_bytes().endswith(b"\n")
