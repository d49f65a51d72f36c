"""The schemes of distributions against the programs that install their packages: dpkg and librpm."""

import json
import subprocess
from collections.abc import Callable
from contextlib import suppress
from itertools import combinations, pairwise
from typing import Any

from univers.versions import AlpineLinuxVersion, DebianVersion, RpmVersion

from scanner import versions
from scanner.versions import Unparsable

Likely = Callable[[str, int], list[str]]

# Says of each line "a operator b" whether dpkg finds it true.
DPKG = 'while read -r a op b; do dpkg --compare-versions "$a" $op "$b" 2>/dev/null; echo $?; done'
LIBRPM = """
import json, sys, rpm
texts = json.load(sys.stdin)
made = [rpm.ver(text) for text in texts]
print(json.dumps([[(one > other) - (one < other) for other in made] for one in made]))
"""


def keyed(ecosystem: str, texts: list[str]) -> dict[str, Any]:
    """Return the keys of those texts that have one, ascending."""
    found = {}
    for text in texts:
        with suppress(Unparsable):
            found[text] = versions.key(ecosystem, text)
    return dict(sorted(found.items(), key=lambda pair: pair[1]))


def sign(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def dpkg(lines: list[str]) -> list[str]:
    found = subprocess.run(
        ["sh", "-c", DPKG], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True
    )
    return found.stdout.split()


def test_debian_versions_are_in_the_order_of_dpkg(likely: Likely) -> None:
    # Where dpkg agrees on each pair of neighbours in a sorted list, it agrees on every pair.
    found = keyed("Debian:12", [*likely("dpkg", 1400), "1", "1-", "1-0", "1-00", "1-0~", "1-~", "1-a", "1-0a"])
    lines = [
        f"{low} {'eq' if found[low] == found[high] else 'lt'} {high}"
        for low, high in pairwise(text for text in found if not text.startswith("-"))
    ]
    wrong = [line for line, code in zip(lines, dpkg(lines), strict=True) if code != "0"]
    assert wrong == []
    assert len(lines) > 500
    assert sum(" eq " in line for line in lines) > 20


def test_what_dpkg_refuses_has_no_key(likely: Likely) -> None:
    texts = [text for text in likely("dpkg", 400) if keyed("Debian", [text]) == {}]
    texts += ["a", "~1", "1-", "1_0", ":1", "1:", "a:1", "2147483648:1", "1-1_1", "1:-1", "v1"]
    accepted = {
        text for text, code in zip(texts, dpkg([f"{text} eq {text}" for text in texts]), strict=True) if code == "0"
    }
    # These dpkg warns of: no digit first, or a sign that a version does not have.
    warned = {text for text in accepted if not text.partition(":")[2][:1].isdigit() and not text[:1].isdigit()}
    assert accepted - warned <= {"1_0", "1-1_1"}


def test_rpm_versions_are_in_the_order_of_librpm(likely: Likely) -> None:
    texts = [*likely("rpm", 500), "1-.", "1-_", "1-0", "1", "1-~", "1-^", ".", "_-_", "1-1._+", "0:1-.", "1:1-_."]
    found = keyed("Red Hat:enterprise_linux:9", texts)
    done = subprocess.run(
        ["/usr/bin/python3", "-c", LIBRPM], input=json.dumps(list(found)), capture_output=True, text=True, check=True
    )
    wrong = [
        (one, other, answer)
        for one, row in zip(found, json.loads(done.stdout), strict=True)
        for other, answer in zip(found, row, strict=True)
        if sign(found[one], found[other]) != answer
    ]
    assert wrong == []
    assert len(found) > 300


def test_debian_versions_agree_with_univers(likely: Likely) -> None:
    found = keyed("Ubuntu:22.04:LTS", likely("dpkg", 200))
    theirs = {text: DebianVersion(text) for text in found}
    for one, other in combinations(found, 2):
        assert sign(found[one], found[other]) == sign(theirs[one], theirs[other]), (one, other)


def test_rpm_versions_agree_with_univers_where_there_is_a_release_with_letters_or_digits(likely: Likely) -> None:
    texts = [text for text in likely("rpm", 400) if any(map(str.isalnum, text.partition("-")[2]))]
    found = keyed("openSUSE:Leap 15.6", texts)
    theirs = {text: RpmVersion(text) for text in found}
    assert len(found) > 50
    for one, other in combinations(found, 2):
        assert sign(found[one], found[other]) == sign(theirs[one], theirs[other]), (one, other)


def test_alpine_versions_agree_with_univers_on_what_gentoo_orders_alike(likely: Likely) -> None:
    # univers has Gentoo's order, in which 00 equals 0 and a missing revision is -r0.
    texts = [text for text in likely("apk", 500) if "00" not in text and "-r0" not in text]
    found = keyed("Wolfi", texts)
    theirs = {}
    for text in found:
        with suppress(ValueError):
            theirs[text] = AlpineLinuxVersion(text)
    assert len(theirs) > 100
    for one, other in combinations(theirs, 2):
        assert sign(found[one], found[other]) == sign(theirs[one], theirs[other]), (one, other)
