"""stella rootpack: options, output and exit codes."""

import json

import pytest

import stella
from kit.trust import rootpack

TIME = ["--time", "2026-11-23T12:00:00Z"]


@pytest.fixture
def run(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = stella.main(["rootpack", *words])
        out, err = capfd.readouterr()
        return code, out, err

    return run


def test_init_prints_what_to_compare_and_where(run, tmp_path):
    code, out, err = run("init", "--owner", "release", "--single-signer", *TIME)
    files = rootpack.read_directory(tmp_path / "rootpack")
    root = rootpack.check_root(files["metadata/1.root.json"])
    pin = root.digest.replace("sha256:", "SHA256:")
    assert code == 0
    assert pin in out
    assert f"stella offline init --root rootpack/metadata/1.root.json --expect-root {pin}" in err
    assert "keys/*.pub.pem" in err


def test_json_is_one_document(run):
    code, out, _ = run("init", "--owner", "release", "--single-signer", "--json", *TIME)
    assert code == 0
    assert json.loads(out)["pack"]["expires"] == "2027-03-23T12:00:00Z"
    code, out, _ = run("show", "--json", *TIME)
    assert code == 0
    assert json.loads(out)["thresholds"] == {"kit": 1}


def test_site_is_enrolled_with_its_public_key(run, tmp_path):
    run("init", "--owner", "release", "--single-signer", *TIME)
    run("init", "--owner", "x", "--single-signer", "--rootpack", "other", "--keys", "others", *TIME)
    add = ["add-key", "others/root-1.pub.pem", "--usage", "site", "--owner", "site-7", *TIME]
    code, out, _ = run(*add)
    assert code == 0
    assert "site-7" in out
    assert run(*add)[0] == 51


def test_expired_metadata_is_shown_as_such(run):
    run("init", "--owner", "release", "--single-signer", *TIME)
    code, out, err = run("show", "--time", "2027-05-01T00:00:00Z")
    assert code == 0
    assert "EXPIRED" in out
    assert "EXPIRED: snapshot, timestamp" in err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["init"], 2),
        (["init", "--owner", ""], 2),
        (["show"], 2),
        (["add-key", "absent.pem", "--usage", "site", "--owner", "s"], 2),
        (["show", "--time", "yesterday"], 2),
        (["init", "--owner", "release", "--passphrase-file", "absent"], 2),
    ],
)
def test_refusal_has_its_exit_code(run, words, code):
    assert run(*words)[0] == code


def test_help_has_examples_and_exit_codes(run):
    code, out, err = run("add-key", "--help")
    assert code == 0
    assert "--usage" in out + err
