"""Crypto profiles: how they are written, and what an envelope lacks when one of them is missing."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import (
    MalformedDocument,
    ProfileMissing,
    SignatureInvalid,
    SignerRetired,
    SignerRevoked,
    SignerUnknown,
)
from kit.trust import dsse, profiles
from kit.trust.keys import ECDSA_P256, ECDSA_P384, ECDSA_P521, ED25519, ML_DSA_65

WRONG_TEXTS = [
    "", "+", "A+", "+A", "A++B", "B+A", "A+A", "A B", "A+\u00c4", "-A", ".A", "A\n", "A" * 65, "+".join("ABCDEFGHI"),
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG_TEXTS)
def test_other_spelling_of_profiles_is_refused(text):
    with pytest.raises(MalformedDocument):
        profiles.split(text, "/scan/cryptoProfile")


def test_profiles_of_the_field_are_names():
    names = ["SM2", "FIPS-140-3", "GOST-R-34.10-2012", "eIDAS", "FIPS-140-3"]
    text = profiles.joined(names)
    assert text == "FIPS-140-3+GOST-R-34.10-2012+SM2+eIDAS"
    assert profiles.split(text, "") == tuple(sorted(set(names)))
    assert profiles.joined([]) is None


@given(st.text(alphabet="AB+.-_9\u00e9", max_size=12))
def test_a_text_of_profiles_has_one_spelling(text):
    try:
        names = profiles.split(text, "")
    except MalformedDocument:
        return
    assert profiles.joined(reversed(names)) == text


@pytest.fixture(scope="module")
def keys(make_signer):
    """Return signers by name: two of profile A, two of profile B, one of none."""
    kinds = {"a1": ECDSA_P384, "a2": ECDSA_P521, "b1": ML_DSA_65, "b2": ED25519, "none": ECDSA_P256}
    return {name: make_signer(name, kind) for name, kind in kinds.items()}


def verdict(keys, signed, *, threshold=1, demanded="AB", broken=(), retired=(), compromised=()):
    """Return the reason why an envelope that some sign is refused, and what is named; None for a good one."""
    envelope = json.loads(dsse.sign(b"{}", dsse.IN_TOTO, [keys[name] for name in signed]))
    for name in broken:
        entry = {"keyid": keys[name].public.fingerprint, "sig": base64.b64encode(b"\0" * 64).decode()}
        envelope["signatures"].append(entry)
    groups = {
        group: {key.public.fingerprint for name, key in keys.items() if name.startswith(group.lower())}
        for group in demanded
    }
    known = {name: key.public for name, key in keys.items()}
    try:
        dsse.verify(
            json.dumps(envelope).encode(),
            [key for name, key in known.items() if name not in (*retired, *compromised)],
            threshold=threshold,
            payload_types=(dsse.IN_TOTO,),
            name="kit.dsse.json",
            retired=[known[name] for name in retired],
            compromised=[known[name] for name in compromised],
            profiles=groups,
        )
    except (ProfileMissing, SignatureInvalid, SignerRetired, SignerRevoked, SignerUnknown) as fault:
        named = {key.public.fingerprint: name for name, key in keys.items()}
        return type(fault), named.get(fault.details.get("signer"), fault.details.get("expected"))
    return None


CASES = {
    "a key of each profile": (["a1", "b1"], {}, None),
    "more than needed": (["a1", "a2", "b1", "b2", "none"], {"threshold": 5}, None),
    "two keys of one profile": (["a1", "a2"], {"threshold": 2}, (ProfileMissing, "B")),
    "the threshold without the other": (["b1", "none"], {"threshold": 2}, (ProfileMissing, "A")),
    "every profile below the threshold": (["a1", "b1"], {"threshold": 3}, (SignatureInvalid, 3)),
    "no profile at all": (["none"], {}, (ProfileMissing, "A")),
    "nothing demanded": (["none"], {"demanded": ""}, None),
    "one's signature is broken": (["a1"], {"broken": ["b1"]}, (SignatureInvalid, "b1")),
    "another's signature is broken": (["a1"], {"broken": ["a2"]}, (ProfileMissing, "B")),
    "one broken, its twin good": (["a1", "b2"], {"broken": ["b1"]}, None),
    "one is retired": (["a1", "b1"], {"retired": ["b1"]}, (SignerRetired, "b1")),
    "one is retired, its twin good": (["a1", "b1", "b2"], {"retired": ["b1"]}, None),
    "one is compromised": (["a1", "b1"], {"compromised": ["b1"]}, (SignerRevoked, "b1")),
    "another is compromised": (["a1", "a2"], {"compromised": ["a2"]}, (ProfileMissing, "B")),
}


@pytest.mark.parametrize(("signed", "options", "expected"), CASES.values(), ids=CASES)
def test_each_demanded_profile_needs_a_good_signer(keys, signed, options, expected):
    assert verdict(keys, signed, **options) == expected
