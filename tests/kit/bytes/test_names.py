"""kit.bytes.names: docs/format.md section 1.3; the cases are in data/names.json."""

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.bytes import names
from kit.errors import HostileName, NameCollision

# Text of which some is accepted: mostly harmless characters, among them those of the rules.
texts = st.text(
    st.sampled_from("abcAB.~1/ -_\\:\u00e9e\u0301\u00df\u212a\u202e\u200bconulNUL") | st.characters(), max_size=12
)
good_names = st.from_regex(r"[a-d]{1,2}(/[a-dA-D]{1,2}){0,3}", fullmatch=True)


def test_accepted_names(vectors):
    for path in vectors("names")["accepted"]:
        assert names.check_name(path) == path


def test_refused_names(vectors):
    for label, path in vectors("names")["refused"]:
        with pytest.raises(HostileName) as caught:
            names.check_name(path)
        assert str(caught.value).isascii(), label
        with pytest.raises(HostileName):
            names.check_names(["first", path])


def test_refused_components_are_refused_at_every_level(vectors):
    for _, path in vectors("names")["refused"]:
        if path and "/" not in path:
            for inside in (f"{path}/x", f"x/{path}", f"x/{path}/y"):
                with pytest.raises(HostileName):
                    names.check_name(inside)


def test_colliding_names(vectors):
    for _, paths in vectors("names")["colliding"]:
        for order in itertools.permutations(paths) if len(paths) < 3 else [paths, paths[::-1]]:
            with pytest.raises(NameCollision):
                names.check_names(order)


def test_compatible_names(vectors):
    for _, paths in vectors("names")["compatible"]:
        names.check_names(paths)
        names.check_names(paths[::-1])


@pytest.mark.parametrize(
    ("path", "accepted"),
    [
        ("a" * 200, True),
        ("a" * 201, False),
        ("\U0001f600" * 63, True),
        ("\U0001f600" * 64, False),
        ("\U0001f600" * 63 + "/" + "\U0001f600" * 63, True),
        ("/".join("a" * 32), True),
        ("/".join("a" * 33), False),
    ],
)
def test_lengths(path, accepted):
    if accepted:
        assert names.check_name(path) == path
    else:
        with pytest.raises(HostileName):
            names.check_name(path)


def test_error_shows_a_hostile_name_in_bounded_ascii():
    with pytest.raises(HostileName) as caught:
        names.check_name("\u202e" * 100_000)
    assert len(str(caught.value)) < 400
    assert str(caught.value).isascii()


@given(texts)
def test_any_text_is_accepted_or_refused_and_what_is_accepted_is_portable(path):
    try:
        names.check_name(path)
    except HostileName:
        return
    assert unicodedata.is_normalized("NFC", path)
    assert len(path.encode("utf-8")) <= 4 * names.MAX_CHARACTERS
    for part in path.split("/"):
        assert part not in {"", ".", ".."}
        assert part == part.rstrip(". ")
    assert not set(path) & set('\\:*?"<>|\0\n')


@given(st.lists(good_names, max_size=8))
def test_collisions_are_found_whatever_the_order(paths):
    def collides(given):
        try:
            names.check_names(given)
        except NameCollision:
            return True
        return False

    folded = [path.lower() for path in paths]
    expected = len(set(folded)) != len(folded) or any(b.startswith(a + "/") for a in folded for b in folded)
    assert collides(paths) == collides(paths[::-1]) == collides(sorted(paths)) == expected
