"""stella rootpack: options, output and exit codes."""

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import stella
from builder import signer
from kit.trust import rootpack
from kit.trust.keys import SEED_SIZES

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


def shown_signers(out):
    return {one["owner"]: one["key"]["algorithm"] for one in json.loads(out)["signers"]}


@pytest.mark.parametrize("algorithm", SEED_SIZES)
def test_kit_keys_are_made_of_any_algorithm_and_kept_under_a_passphrase(run, tmp_path, algorithm):
    (tmp_path / "phrase").write_text("correct horse\n")
    words = ["init", "--owner", "release", "--single-signer", "--passphrase-file", "phrase", *TIME]
    assert run(*words, "--algorithm", algorithm)[0] == 0
    assert shown_signers(run("show", "--json", *TIME)[1]) == {"release": algorithm}
    assert b"ENCRYPTED" in (tmp_path / "keys" / "kit-1.key.pem").read_bytes()
    assert signer.load(tmp_path / "keys" / "kit-1.key.pem", b"correct horse").public.algorithm == algorithm


@pytest.mark.parametrize("algorithm", ["rsa-pss-sha256", "p256", ""])
def test_keys_of_an_algorithm_that_never_signs_are_not_made(run, tmp_path, algorithm):
    code, _, err = run("init", "--owner", "release", "--single-signer", "--algorithm", algorithm or "none", *TIME)
    assert (code, "Traceback" in err) == (31, False)
    assert not (tmp_path / "rootpack").exists()


def test_rotation_may_change_the_algorithm_of_a_kit_key_and_not_that_of_a_role(run, tmp_path):
    run("init", "--owner", "release", "--single-signer", *TIME)
    change = ["rotate", "--make", "--algorithm", "ml-dsa-65", *TIME]
    code, out, _ = run(*change, "--old", "keys/kit-1.pub.pem", "--new", "keys/kit-2.pub.pem", "--json")
    assert code == 0
    assert sorted(one["key"]["algorithm"] for one in json.loads(out)["signers"]) == ["ecdsa-p256-sha256", "ml-dsa-65"]
    code, _, err = run(*change, "--old", "keys/root-1.pub.pem", "--new", "keys/root-2.pub.pem")
    assert code == 2
    assert "no key of a role has this algorithm" in err


def test_rsa_key_is_trusted_under_the_one_padding_that_is_named(run, tmp_path):
    run("init", "--owner", "release", "--single-signer", *TIME)
    public = rsa.generate_private_key(65537, 2048).public_key()
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "keys" / "kms.pub.pem").write_bytes(public.public_bytes(*form))
    add = ["add-key", "keys/kms.pub.pem", "--usage", "kit", "--owner", "kms", "--json", *TIME]
    code, _, err = run(*add)
    assert (code, "rsa-pkcs1-sha256" in err) == (2, True)
    assert run(*add, "--algorithm", "ed25519")[0] == 31
    code, out, _ = run(*add, "--algorithm", "rsa-pss-sha256")
    assert (code, shown_signers(out)["kms"]) == (0, "rsa-pss-sha256")
    for again in ("rsa-pss-sha256", "rsa-pkcs1-sha256"):
        assert run(*add, "--algorithm", again)[0] == 51
    assert run("revoke", "keys/kms.pub.pem", "--state", "retired", *TIME)[0] == 0


def test_draft_other_than_expected_is_not_signed_and_says_so(run, tmp_path):
    run("init", "--owner", "release", "--single-signer", *TIME)
    assert run("rotate", "--propose", "next.draft", *TIME)[0] == 0
    before = (tmp_path / "next.draft").read_bytes()
    code, out, _ = run("sign", "next.draft", "--expect", f"SHA256:{'0' * 64}", "--json", *TIME)
    told = json.loads(out)
    assert (code, told["reason"]) == (23, "DraftNotExpected")
    assert told["message"].startswith("This draft is not the change that was expected; it was not signed.")
    assert "published" not in told["message"]
    assert (tmp_path / "next.draft").read_bytes() == before


def test_next_keeper_is_told_the_fingerprint_to_expect(run, tmp_path):
    run("init", "--owner", "release", *TIME)
    (tmp_path / "one").mkdir()
    (tmp_path / "keys" / "root-1.key.pem").rename(tmp_path / "one" / "root-1.key.pem")
    (tmp_path / "one" / "root-1.pub.pem").write_bytes((tmp_path / "keys" / "root-1.pub.pem").read_bytes())
    _, out, err = run("rotate", "--keys", "one", "--propose", "next draft", *TIME)
    found = next(word for word in out.split() if word.startswith("SHA256:"))
    following = f"stella rootpack sign 'next draft' --keys DIR --expect {found}"
    assert err.strip().endswith(f"VERDICT  PROPOSED (0)  next: another keeper: {following}")
    assert following in run("show", "--draft", "next draft", *TIME)[2]
    assert run("sign", "next draft", "--expect", found, *TIME)[0] == 0


def test_change_without_the_keys_names_how_it_is_proposed(run, tmp_path):
    run("init", "--owner", "release", "--single-signer", *TIME)
    (tmp_path / "keys" / "targets-1.key.pem").unlink()
    code, _, err = run("rotate", *TIME)
    assert (code, "too few keys of the role targets are here" in err) == (2, True)
    assert "--propose FILE" in err
    assert "stella rootpack sign FILE --keys DIR" in err


def test_change_without_the_online_key_names_it(run, tmp_path):
    run("init", "--owner", "release", "--single-signer", *TIME)
    (tmp_path / "keys" / "online.key.pem").unlink()
    code, _, err = run("rotate", *TIME)
    assert (code, "--propose FILE" in err) == (2, True)
    assert "online key: --keys DIR" in err
