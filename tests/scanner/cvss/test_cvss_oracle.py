"""CVSS of all versions against an independent implementation: every base vector, random full ones, real ones."""

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from cvss import CVSS2, CVSS3, CVSS4
from cvss.constants2 import METRICS_VALUES as VALUES_2
from cvss.constants3 import METRICS_VALUES as VALUES_3
from cvss.constants4 import METRICS_MANDATORY as BASE_4
from cvss.constants4 import METRICS_VALUE_NAMES as VALUES_4
from cvss.exceptions import CVSSError
from hypothesis import given
from hypothesis import strategies as st

from scanner import cvss

BASE_2 = ("AV", "AC", "Au", "C", "I", "A")
BASE_3 = ("AV", "AC", "PR", "UI", "S", "C", "I", "A")


def expected(vector: str) -> tuple[int, str]:
    """Return score in tenths and rating as the other implementation has them."""
    kind = CVSS4 if vector.startswith("CVSS:4") else CVSS3 if vector.startswith("CVSS:3") else CVSS2
    found = kind(vector)
    return round(float(found.base_score) * 10), found.severities()[0].lower()


def given_by_us(vector: str) -> tuple[int, str]:
    found = cvss.score(vector)
    return found.tenths, found.level


def joined(prefix: str, found: dict[str, str]) -> str:
    return prefix + "/".join(f"{name}:{value}" for name, value in found.items())


def base_vectors(prefix: str, names: tuple[str, ...], values: dict) -> Iterator[str]:
    for chosen in itertools.product(*(values[name] for name in names)):
        yield joined(prefix, dict(zip(names, chosen, strict=True)))


def random_vectors(prefix: str, base: tuple[str, ...], values: dict, count: int) -> Iterator[str]:
    source = random.Random(prefix)
    for _ in range(count):
        found = {name: source.choice(list(values[name])) for name in base}
        extra = [name for name in values if name not in base and source.random() < 0.4]
        found |= {name: source.choice(list(values[name])) for name in extra}
        names = list(found)
        source.shuffle(names)
        yield joined(prefix, {name: found[name] for name in names})


@pytest.mark.parametrize(
    "vectors",
    [
        list(base_vectors("", BASE_2, VALUES_2)),
        list(random_vectors("", BASE_2, VALUES_2, 3000)),
        list(random_vectors("CVSS:3.0/", BASE_3, VALUES_3, 3000)),
        list(random_vectors("CVSS:3.1/", BASE_3, VALUES_3, 3000)),
        list(random_vectors("CVSS:4.0/", tuple(BASE_4), VALUES_4, 9000)),
    ],
    ids=["v2 base", "v2", "v3.0", "v3.1", "v4.0"],
)
def test_scores_and_ratings_are_those_of_another_implementation(vectors: list[str]) -> None:
    assert [(one, given_by_us(one)) for one in vectors if given_by_us(one) != expected(one)] == []


def test_every_macro_vector_of_version_4_is_met() -> None:
    gravest = {
        "EQ1": ["AV:N/PR:N/UI:N", "AV:A/PR:N/UI:N", "AV:P/PR:N/UI:N"],
        "EQ2": ["AC:L/AT:N", "AC:H/AT:N"],
        "EQ36": [
            "VC:H/VI:H/VA:H/CR:H/IR:H/AR:H",
            "VC:H/VI:H/VA:H/CR:M/IR:M/AR:M",
            "VC:L/VI:H/VA:H/CR:H/IR:H/AR:H",
            "VC:L/VI:H/VA:L/CR:H/IR:M/AR:H",
            "VC:L/VI:L/VA:L/CR:H/IR:H/AR:H",
        ],
        "EQ4": ["SC:H/SI:H/SA:H/MSI:S/MSA:S", "SC:H/SI:H/SA:H", "SC:L/SI:L/SA:L"],
        "EQ5": ["E:A", "E:P", "E:U"],
    }
    vectors = ["CVSS:4.0/" + "/".join(parts) for parts in itertools.product(*gravest.values())]
    assert len(vectors) == 270
    assert [given_by_us(one) for one in vectors] == [expected(one) for one in vectors]


def test_real_vectors_score_as_another_implementation_has_them(test_data: Path) -> None:
    found = set(vectors_in(test_data))
    assert len(found) > 50
    assert [(one, given_by_us(one)) for one in sorted(found) if given_by_us(one) != expected(one)] == []


def vectors_in(folder: Path) -> Iterator[str]:
    import zipfile

    for path in sorted(folder.glob("osv/*/*/all.zip")):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                data = archive.read(name)
                if b'"severity"' in data:
                    yield from severities(json.loads(data))
    for path in sorted(folder.glob("vex/**/*.json")):
        try:
            yield from members(json.loads(path.read_bytes()))
        except ValueError:
            continue


def severities(record: dict) -> Iterator[str]:
    for holder in (record, *(record.get("affected") or ())):
        for one in holder.get("severity") or ():
            if isinstance(one, dict) and one.get("type", "").startswith("CVSS"):
                yield one["score"]


def members(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("vectorString"), str):
            yield value["vectorString"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from members(item)


@given(
    st.text(max_size=80)
    | st.sampled_from(["", "CVSS:3.0/", "CVSS:3.1/", "CVSS:4.0/"]).flatmap(
        lambda prefix: (
            st.lists(st.sampled_from(["AV:N", "AC:L", "Au:N", "C:C", "AT:N", "U:Clear", ":", "", "I:C", "A:C"]))
            .map("/".join)
            .map(prefix.__add__)
        )
    )
)
def test_any_text_is_scored_as_elsewhere_or_refused(text: str) -> None:
    try:
        found = given_by_us(text)
    except cvss.UnusableVector:
        return
    assert found == expected(text.removesuffix("/"))


def test_what_another_implementation_refuses_has_no_score() -> None:
    source = random.Random(4)
    vectors = list(random_vectors("CVSS:4.0/", tuple(BASE_4), VALUES_4, 500))
    vectors += list(random_vectors("CVSS:3.1/", BASE_3, VALUES_3, 500)) + list(
        random_vectors("", BASE_2, VALUES_2, 500)
    )
    refused = 0
    for vector in vectors:
        place = source.randrange(len(vector))
        broken = vector[:place] + source.choice("XNHLQ:/") + vector[place + 1 :]
        try:
            known = expected(broken)
        except CVSSError:
            if not broken.endswith("/"):
                refused += 1
                with pytest.raises(cvss.UnusableVector):
                    cvss.score(broken)
        else:
            assert given_by_us(broken) == known
    assert refused > 500
