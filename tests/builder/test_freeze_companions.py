"""Man page, completions and bill of materials beside the frozen program."""

import json
import shutil
import subprocess

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import stella
from builder import freeze_companions, freeze_packages, freeze_sbom
from verifier.programs import BILL


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


@pytest.fixture
def bill(tmp_path):
    """Return the bill of a directory with one program, of three packages."""
    contents, program = tmp_path / "packages.json", tmp_path / "program"
    freeze_packages.write(contents, ["cryptography.hazmat", "msgspec/_core.so", "nacl.signing", "kit.bytes"])
    program.mkdir()
    (program / "stella").write_bytes(b"program")
    read = json.loads(contents.read_bytes())
    parts = [freeze_sbom.interpreter(read["python"]), *freeze_sbom.packages(read, {"msgspec": "0" * 64})]
    freeze_sbom.write(program, parts)
    return (program / BILL).read_bytes()


def test_our_own_reader_reads_the_bill(bill):
    from scanner.sbom import read_sbom

    listed = [one["name"] for one in json.loads(bill)["components"] if one["type"] == "library"]
    assert listed == ["python", "cryptography", "msgspec", "pyinstaller", "pynacl"]
    read = read_sbom(bill)
    assert {component.purl.partition("@")[0] for component in read.components if component.purl} >= {"pkg:pypi/msgspec"}
    assert bill.endswith(b"\n")


def test_the_bill_keeps_to_the_schema(bill):
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill.decode()) is None


def test_libraries_inside_of_wheels_are_told(bill):
    inside = {each["name"] for one in json.loads(bill)["components"] for each in one.get("components", ())}
    assert {"openssl", "libsodium"} <= inside
