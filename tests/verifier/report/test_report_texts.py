"""Texts for terminal, paper and telephone: width, character set, and what they must say."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from kit import errors
from kit import result as results
from kit.bytes import canonical, digest
from kit.errors import FileMissing, StellaError
from scanner.difference import Difference
from verifier import texts
from verifier.difference_text import difference_text
from verifier.render import kit_readme, receipt_text, status_block

NAMES = ("verified", "what_if", "differs", "refused", "refused_early")
README = {
    "channel": "orders",
    "sequence": 42,
    "created_at": "2026-11-20T04:00:00Z",
    "producer": "stella 0.1.0",
    "scans": [("0192b6f0-6d3e-7a51-9c1e-5d0f3b7a4e21", "orders-api 3.4.1")],
    "root": "sha256:" + "ab12" * 16,
    "signers": [("release engineering", "sha256:" + "0f" * 32)],
}


def check_lines(text, width):
    assert text.endswith("\n")
    assert all(len(line) <= width for line in text.splitlines())
    assert all(byte in b"\n" or 32 <= byte < 127 for byte in text.encode())
    assert all(line == line.rstrip() for line in text.splitlines())


def causes():
    def below(cls):
        for child in cls.__subclasses__():
            yield child
            yield from below(child)

    return sorted(
        (cls for cls in below(StellaError) if cls.__module__ == errors.__name__), key=lambda cls: cls.__name__
    )


@pytest.mark.parametrize("name", NAMES)
def test_status_block_ends_with_verdict_reason_and_next_step(load_case, name):
    result = load_case(name)["result"]
    text = status_block(result, where="ops/offline/replay/")
    check_lines(text, 80)
    last = text.partition("VERDICT")[2]
    assert f"{result['verdict']} ({result['exitCode']}), reason {result['reason']}" in last
    assert result["nextStep"].split()[-1] in last
    assert "log        ops/offline/replay/" in text


def test_status_block_counts_every_check(load_case):
    assert "checks     15 passed, 0 failed, 2 not made" in status_block(load_case("verified")["result"])
    assert "checks     1 passed, 1 failed, 15 not made" in status_block(load_case("refused_early")["result"])


def test_status_block_says_why_a_check_was_not_made(load_case):
    lines = status_block(load_case("verified")["result"]).splitlines()
    assert any(
        line.startswith("ledger     no ledger proof is demanded") and line.endswith("not made") for line in lines
    )


def test_a_line_of_the_status_block_is_ok_only_where_each_of_its_checks_passed(load_case):
    words = {line[:11].strip(): line[71:].strip() for line in status_block(load_case("refused")["result"]).splitlines()}
    assert words["trust"] == "ok"
    assert words["kit"] == "partly"
    assert words["manifest"] == "FAILED"
    assert words["files"] == "not made"


def test_status_block_of_an_empty_result_still_refuses():
    text = status_block({})
    check_lines(text, 80)
    assert "VERDICT    REFUSED (1)" in text


@pytest.mark.parametrize("name", ["what_if", "differs"])
def test_difference_tree_names_member_place_and_cause(load_case, name):
    tree = msgspec.convert(load_case(name)["difference"], Difference)
    text = difference_text(tree)
    check_lines(text, 80)
    flat = " ".join(text.replace("|", " ").split())
    for member in tree.members:
        for entry in member.entries:
            if entry.cause not in ("consequence", "input-identity"):
                assert " ".join(f"{entry.cause}: {entry.detail}".split()) in flat or entry.cause in flat
                assert entry.subject in flat


def test_consequences_are_counted_not_listed(load_case):
    tree = msgspec.convert(load_case("what_if")["difference"], Difference)
    text = difference_text(tree)
    count = tree.causes["consequence"] + tree.causes.get("input-identity", 0)
    assert f"{count} further differences follow from these or name an input" in text
    assert "/leaves/" not in text


def test_no_difference_is_said_in_one_line():
    assert difference_text(Difference(schema_version="1.0", equal=True, members=(), causes={})).count("\n") == 1


@pytest.mark.parametrize("name", ["verified", "what_if", "differs", "refused"])
def test_receipt_fits_a_slip_and_carries_every_digest(load_case, name):
    raw = canonical.encode(load_case(name)["receipt"])
    receipt = results.parse_receipt(raw)
    text = receipt_text(receipt)
    check_lines(text, 64)
    assert len(text.splitlines()) <= 42
    joined = "".join(text.split())
    for value in (receipt.site, receipt.result_digest, receipt.previous, receipt.manifest_digest, digest.of_bytes(raw)):
        assert value is None or value.removeprefix("sha256:") in joined
    assert f"EXIT CODE  {receipt.exit_code}" in text


@pytest.mark.parametrize("cause", causes(), ids=lambda cls: cls.__name__)
def test_receipt_of_each_refusal_has_its_next_step_and_still_fits(load_case, cause):
    fields = {**load_case("verified")["receipt"], "verdict": "REFUSED", "reason": cause.__name__}
    text = receipt_text(results.parse_receipt(canonical.encode(fields)))
    check_lines(text, 64)
    assert len(text.splitlines()) <= 42
    assert " ".join(cause.next_step.split()) in " ".join(text.split())


def test_first_receipt_of_a_site_says_so(load_case):
    fields = load_case("refused")["receipt"]
    del fields["previous"]
    assert "none, this is the site's first" in receipt_text(results.parse_receipt(canonical.encode(fields)))


def test_readme_of_a_kit_is_80_columns_and_names_root_signers_and_commands():
    text = kit_readme(**README)
    check_lines(text, 80)
    for said in (
        "sha256sum -c SHA256SUMS",
        "stella look MEDIUM",
        "number 42",
        "Signer release engineering:",
        "If VOLUME.json",
    ):
        assert said in text
    assert "".join(text.split()).count("ab12" * 16) == 1
    assert "travels with the kit" not in text
    assert "bin/linux-x86_64/stella" in kit_readme(**README, programs=["bin/linux-x86_64/stella"])


def test_readme_survives_long_and_foreign_names():
    long = "Abteilung f\u00fcr " + "x" * 300 + " \u202e\x07"
    text = kit_readme(**{**README, "producer": long, "scans": [("id", long)], "signers": [(long, "sha256:00")]})
    check_lines(text, 80)
    assert r"f\u00fcr" in text


@given(st.text(max_size=300))
def test_any_text_fits_the_status_block(text):
    check_lines(status_block({"sentence": text, "scan": {"subject": text}, "signers": [{"owner": text}]}), 80)


@given(st.text())
def test_visible_text_has_no_sign_that_cannot_be_seen(text):
    shown = texts.visible(text)
    assert texts.visible(shown) == shown
    assert shown.isprintable() or not any(sign in shown for sign in "\n\r\t\x1b\u200b\u2028\u202e")


def test_fingerprints_are_read_in_groups_of_four():
    assert texts.grouped("sha256:" + "0123456789abcdef" * 4, 16) == "0123 4567 89ab cdef"
    assert texts.grouped("sha256:" + "ab" * 32).count(" ") == 15


def test_a_template_that_is_not_there_is_named():
    with pytest.raises(FileMissing) as caught:
        texts.render("no-such.txt.j2")
    assert caught.value.details == {"path": "templates/no-such.txt.j2"}


def test_a_template_without_its_values_is_refused():
    with pytest.raises(UndefinedError):
        texts.render("receipt.txt.j2", verdict="VERIFIED")
