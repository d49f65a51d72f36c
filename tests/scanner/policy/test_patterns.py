"""Patterns for package URLs: what they match, what is no pattern, and that they agree with a plain definition."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.policy.patterns import MAX_LENGTH, BadPattern, compile_pattern, fits


@pytest.mark.parametrize(
    ("pattern", "purl", "expected"),
    [
        ("pkg:pypi/babel", "pkg:pypi/Babel@2.6.0", True),
        ("pkg:pypi/Some_Package", "pkg:pypi/some-package@1", True),
        ("pkg:pypi/babel@2.6.0", "pkg:pypi/babel@2.6.0?extra=1#sub", True),
        ("pkg:pypi/babel@2.*", "pkg:pypi/babel@2.6.0", True),
        ("pkg:pypi/babel@2.*", "pkg:pypi/babel", False),
        ("pkg:pypi/babel@*", "pkg:pypi/babel", True),
        ("pkg:pypi/django-*", "pkg:pypi/django_extensions@3", True),
        ("pkg:pypi/django-*", "pkg:pypi/django@3", False),
        ("pkg:PyPI/*", "pkg:pypi/anything@3", True),
        ("pkg:pypi/*", "pkg:golang/example.org/mod@v1", False),
        ("pkg:*/*", "pkg:pypi/x@1", True),
        ("pkg:*/**", "pkg:golang/example.org/a/b@v1", True),
        ("pkg:golang/example.org/*", "pkg:golang/example.org/a@v1", True),
        ("pkg:golang/example.org/*", "pkg:golang/example.org/a/b@v1", False),
        ("pkg:golang/example.org/**", "pkg:golang/Example.org/A/b@v1", True),
        ("pkg:golang/example.org/**", "pkg:golang/example.org@v1", True),
        ("pkg:golang/**/b", "pkg:golang/example.org/a/b@v1", True),
        ("pkg:golang/**/b", "pkg:golang/b@v1", True),
        ("pkg:golang/a/**/b", "pkg:golang/a/b@v1", True),
        ("pkg:golang/a/**/a", "pkg:golang/a@v1", False),
        ("pkg:npm/@scope/*", "pkg:npm/%40scope/name@1", True),
        ("pkg:npm/@scope/name@1", "pkg:npm/@scope/name@1", True),
        ("pkg:deb/debian/*", "pkg:deb/debian/openssl@1.1?arch=amd64&distro=debian-12", True),
        ("pkg:maven/org.apache.*/*@2.*", "pkg:maven/org.apache.logging/log4j@2.14", True),
        ("pkg:maven/Org/*", "pkg:maven/org/x@1", False),
        ("pkg:pypi/x", "no package url", False),
        ("pkg:pypi/x", "", False),
    ],
)
def test_a_pattern_matches_whole_package_urls(pattern: str, purl: str, expected: bool) -> None:
    assert compile_pattern(pattern).matches(purl) is expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "babel",
        "pkg:pypi",
        "pkg:pypi/",
        "pkg:/x",
        "pkg:pypi//x",
        "pkg:pypi/x?a=b",
        "pkg:pypi/x#y",
        "pkg:npm/%40scope/x",
        "pkg:**/x",
        "pkg:golang/a**/b",
        "pkg:golang/**/a/**",
        "pkg:pypi/x@",
        "pkg:pypi/x@**",
        "pkg:pypi/x\n",
        "pkg:pypi/" + "x" * MAX_LENGTH,
    ],
)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(BadPattern):
        compile_pattern(text)


@given(st.text(alphabet="ab*", max_size=8), st.text(alphabet="ab", max_size=10))
def test_stars_stand_for_any_characters(pattern: str, text: str) -> None:
    expected = re.fullmatch(pattern.replace("*", ".*"), text) is not None
    assert fits(pattern, text) is expected


segments = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5)


@given(st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=5), segments)
def test_two_stars_stand_for_any_segments(pattern: list[str], path: list[str]) -> None:
    text = "pkg:t/" + "/".join(pattern)
    if pattern.count("**") > 1:
        with pytest.raises(BadPattern):
            compile_pattern(text)
        return
    expression = "".join({"*": "/[^/]+", "**": "(?:/[^/]+)*"}.get(part, f"/{part}") for part in pattern)
    expected = re.fullmatch(expression, "/" + "/".join(path)) is not None
    assert compile_pattern(text).matches("pkg:t/" + "/".join(path) + "@1") is expected


@given(st.text(max_size=60), st.text(max_size=40))
def test_any_text_is_a_pattern_or_refused(text: str, purl: str) -> None:
    for wanted in (text, "pkg:" + text):
        try:
            found = compile_pattern(wanted).matches("pkg:pypi/" + purl)
        except BadPattern:
            found = False
        assert found in (True, False)
