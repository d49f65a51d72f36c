"""CVSS v3 base scores: published examples, and every base vector against the formulas in floating point."""

import itertools
import math

import pytest

from scanner import cvss

WEIGHTS = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "PR": {"N": 0.85, "L": 0.62, "H": 0.27},
    "UI": {"N": 0.85, "R": 0.62},
    "S": {"U": 0, "C": 1},
    "C": {"H": 0.56, "L": 0.22, "N": 0},
    "I": {"H": 0.56, "L": 0.22, "N": 0},
    "A": {"H": 0.56, "L": 0.22, "N": 0},
}


@pytest.mark.parametrize(
    ("vector", "score", "level"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 98, "critical"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 100, "critical"),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 61, "medium"),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 75, "high"),
        ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 78, "high"),
        ("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:L/A:N", 37, "low"),
        ("CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N", 0, "none"),
        ("CVSS:3.1/A:H/I:H/C:H/S:U/UI:N/PR:N/AC:L/AV:N", 98, "critical"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:P/RL:O/RC:C/MAV:L/CR:H", 98, "critical"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/", 98, "critical"),
    ],
)
def test_a_vector_has_its_base_score(vector, score, level):
    assert cvss.base_score(vector) == score
    assert cvss.level(score) == level


@pytest.mark.parametrize(
    ("score", "level"),
    [
        (0, "none"),
        (1, "low"),
        (39, "low"),
        (40, "medium"),
        (69, "medium"),
        (70, "high"),
        (89, "high"),
        (90, "critical"),
    ],
)
def test_ratings_begin_where_the_specification_says(score, level):
    assert cvss.level(score) == level


@pytest.mark.parametrize(
    "vector",
    [
        "",
        "AV:N/AC:L/Au:N/C:N/I:N",
        "AV:N/AC:L/Au:N/C:N/I:N/A:H",
        "(AV:N/AC:L/Au:N/C:N/I:N/A:P)",
        "CVSS:2.0/AV:N/AC:L/Au:N/C:N/I:N/A:P",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:S/SA:N",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/U:Blue",
        "CVSS:3.2/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H",
        "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/ZZ:N",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:XU",
        "CVSS:3.1/av:n/ac:l/pr:n/ui:n/s:u/c:h/i:h/a:h",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" + "/" * 600,
    ],
)
def test_any_other_text_has_no_score(vector):
    with pytest.raises(cvss.UnusableVector):
        cvss.base_score(vector)


def in_floating_point(metrics: dict[str, str], version: str) -> int:
    changed = metrics["S"] == "C"
    weight = {name: WEIGHTS[name][value] for name, value in metrics.items()}
    if changed:
        weight["PR"] = {"N": 0.85, "L": 0.68, "H": 0.5}[metrics["PR"]]
    missed = 1 - (1 - weight["C"]) * (1 - weight["I"]) * (1 - weight["A"])
    impact = 7.52 * (missed - 0.029) - 3.25 * (missed - 0.02) ** 15 if changed else 6.42 * missed
    if impact <= 0:
        return 0
    exploitability = 8.22 * weight["AV"] * weight["AC"] * weight["PR"] * weight["UI"]
    total = min(10, (1.08 if changed else 1) * (impact + exploitability))
    if version == "3.0":
        return math.ceil(total * 10)
    rounded = round(total * 100_000)
    return rounded // 10_000 if rounded % 10_000 == 0 else rounded // 10_000 + 1


@pytest.mark.parametrize("version", ["3.0", "3.1"])
def test_every_base_vector_scores_as_in_floating_point(version):
    for values in itertools.product(*(WEIGHTS[name] for name in WEIGHTS)):
        metrics = dict(zip(WEIGHTS, values, strict=True))
        vector = f"CVSS:{version}/" + "/".join(f"{name}:{value}" for name, value in metrics.items())
        assert cvss.base_score(vector) == in_floating_point(metrics, version), vector
