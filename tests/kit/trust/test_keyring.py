"""The keyring: admission of keys, one entry a key, thresholds and windows."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.bytes import canonical
from kit.errors import DuplicateMember, KeyRefused, MalformedDocument, NotCanonical, StellaError, UnsupportedVersion
from kit.trust import keyring
from kit.trust.keys import ECDSA_P256, ECDSA_P384, ED25519, PemSigner

ONE = PemSigner.from_seed(ECDSA_P256, bytes(48)).public
P384 = PemSigner.from_seed(ECDSA_P384, bytes(64)).public
TWO = PemSigner.from_seed(ED25519, bytes(32)).public
SINCE = "2026-01-01T00:00:00Z"


def entry_of(public, **changes):
    plain = {
        "algorithm": public.algorithm,
        "fingerprint": public.fingerprint,
        "owner": "release",
        "spki": _spki(public),
        "usage": "kit",
        "validFrom": SINCE,
    }
    return {name: value for name, value in (plain | changes).items() if value is not ...}


def _spki(public):
    return base64.b64encode(public.spki).decode()


def ring(entries, thresholds=None, **members):
    ordered = sorted(entries, key=lambda entry: (str(entry.get("usage")), str(entry.get("fingerprint"))))
    used = {entry["usage"]: 1 for entry in entries if "usage" in entry}
    return {"keys": ordered, "schemaVersion": "1.0", "thresholds": used if thresholds is None else thresholds} | members


def encoded(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_what_is_made_reads_back():
    entries = [
        keyring.describe(TWO, usage="site", owner="site-7", valid_from=SINCE, valid_until="2027-01-01T00:00:00Z"),
        keyring.describe(ONE, usage="kit", owner="release", valid_from=SINCE),
    ]
    made = keyring.make(entries, {"site": 1, "kit": 1})
    parsed, keys = keyring.parse(canonical.encode_record(made))
    assert parsed == made
    assert [(key.usage, key.owner, key.public) for key in keys] == [("kit", "release", ONE), ("site", "site-7", TWO)]


def test_bytes_are_those_of_the_contract():
    data = encoded(ring([entry_of(ONE), entry_of(TWO, usage="site", validUntil="2027-01-01T00:00:00Z")]))
    parsed, _ = keyring.parse(data)
    assert canonical.encode_record(parsed) == data


def test_window_is_inclusive_at_both_ends():
    data = encoded(ring([entry_of(ONE, validUntil="2026-12-31T00:00:00Z")]))
    _, (key,) = keyring.parse(data)
    assert [key.valid_at(time) for time in ("2025-12-31T23:59:59Z", SINCE, "2026-12-31T00:00:00Z")] == [
        False,
        True,
        True,
    ]
    assert not key.valid_at("2026-12-31T00:00:01Z")


def test_keyring_may_be_empty():
    assert keyring.parse(encoded(ring([])))[1] == ()


def refusals(one, two):
    entry, other = entry_of(one), entry_of(two)
    yield "one key twice", ring([entry, entry]), MalformedDocument
    yield "one key for two usages", ring([entry, entry_of(one, usage="site")]), MalformedDocument
    yield "not ascending", ring([entry, other]) | {"keys": ring([entry, other])["keys"][::-1]}, MalformedDocument
    yield "foreign fingerprint", ring([entry_of(one, fingerprint=two.fingerprint)]), MalformedDocument
    yield "foreign algorithm", ring([entry_of(one, algorithm="ed25519")]), KeyRefused
    yield "unknown algorithm", ring([entry_of(one, algorithm="slh-dsa-sha2-128s")]), KeyRefused
    yield "padding not named", ring([entry_of(one, algorithm="rsa")]), KeyRefused
    yield "log of an algorithm that no note names", ring([entry_of(P384, usage="log")]), KeyRefused
    yield "empty profile", ring([entry_of(one, profile="")]), MalformedDocument
    yield "joined profiles", ring([entry_of(one, profile="A+B")]), MalformedDocument
    yield "demand without a name", ring([entry_of(one, profile="A")], profiles={"kit": []}), MalformedDocument
    yield "demand of nobody's profile", ring([entry_of(one, profile="A")], profiles={"kit": ["B"]}), MalformedDocument
    yield "demand of another usage", ring([entry_of(one, profile="A")], profiles={"site": ["A"]}), MalformedDocument
    two_profiles = [entry_of(one, profile="A"), entry_of(two, profile="B")]
    yield "demand not ascending", ring(two_profiles, profiles={"kit": ["B", "A"]}), MalformedDocument
    yield "demand twice", ring(two_profiles, profiles={"kit": ["A", "A"]}), MalformedDocument
    yield "spki is no base64", ring([entry_of(one, spki="*")]), MalformedDocument
    yield "spki of two spellings", ring([entry_of(two, spki=_spki(two)[:-2] + "F=")]), StellaError
    yield "spki is no key", ring([entry_of(one, spki="AAAA")]), KeyRefused
    yield "unknown usage", ring([entry_of(one, usage="root")]), MalformedDocument
    yield "no owner", ring([entry_of(one, owner="")]), MalformedDocument
    yield "owner with line feed", ring([entry_of(one, owner="a\n")]), MalformedDocument
    yield "owner not ASCII", ring([entry_of(one, owner="\u00fc")]), MalformedDocument
    yield "date only", ring([entry_of(one, validFrom="2026-01-01")]), MalformedDocument
    yield "no such day", ring([entry_of(one, validFrom="2026-02-30T00:00:00Z")]), MalformedDocument
    yield "offset", ring([entry_of(one, validFrom="2026-01-01T00:00:00+00:00")]), MalformedDocument
    yield "other digits", ring([entry_of(one, validFrom="\u0662026-01-01T00:00:00Z")]), MalformedDocument
    yield "ends before it begins", ring([entry_of(one, validUntil="2025-01-01T00:00:00Z")]), MalformedDocument
    yield "no start", ring([entry_of(one, validFrom=...)]), MalformedDocument
    yield "unknown member", ring([entry_of(one, extra="")]), MalformedDocument
    yield "unknown member outside", ring([entry], extra=1), MalformedDocument
    yield "threshold zero", ring([entry], {"kit": 0}), MalformedDocument
    yield "threshold below zero", ring([entry], {"kit": -1}), MalformedDocument
    yield "threshold is a truth value", ring([entry], {"kit": True}), MalformedDocument
    yield "threshold beyond the keys", ring([entry], {"kit": 2}), MalformedDocument
    yield "threshold of a usage without keys", ring([entry], {"kit": 1, "site": 1}), MalformedDocument
    yield "no threshold", ring([entry], {}), MalformedDocument
    yield "another schema", ring([entry], schemaVersion="2.0"), UnsupportedVersion


@pytest.mark.parametrize(("document", "cause"), [pytest.param(*case[1:], id=case[0]) for case in refusals(ONE, TWO)])
def test_broken_rule_is_refused(document, cause):
    with pytest.raises(cause):
        keyring.parse(encoded(document))


def test_keyring_must_be_canonical_and_unambiguous():
    data = encoded(ring([entry_of(ONE)]))
    with pytest.raises(NotCanonical):
        keyring.parse(data + b"\n")
    with pytest.raises(NotCanonical):
        keyring.parse(json.dumps(ring([entry_of(ONE)])).encode())
    with pytest.raises(DuplicateMember):
        keyring.parse(data.replace(b'"owner"', b'"owner":"x","owner"'))


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_flipped_bit_never_yields_another_key(at, bit):
    data = bytearray(encoded(ring([entry_of(TWO)])))
    data[at % len(data)] ^= 1 << bit
    try:
        _, keys = keyring.parse(bytes(data))
    except StellaError:
        return
    assert [key.public for key in keys] == [TWO]


texts = st.text(max_size=6) | st.sampled_from(["kit", "1.0", SINCE, ED25519])
entries = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(["algorithm", "fingerprint", "owner", "spki", "usage", "validFrom", "validUntil"], texts)
)


@given(
    st.builds(ring, st.lists(entries, max_size=3), st.dictionaries(texts, st.integers(-1, 3), max_size=2)).map(encoded)
    | st.binary(max_size=64)
)
def test_anything_else_is_refused_with_a_typed_error(data):
    try:
        _, keys = keyring.parse(data)
    except StellaError:
        return
    assert keys == ()
