"""Texts from templates compiled ahead are, byte for byte, those from the templates themselves."""

import sys
from pathlib import Path

import pytest

from builder import freeze_prepared
from verifier import texts
from verifier.report import render

ROOT = Path(__file__).parents[3]


@pytest.fixture
def switch(tmp_path, monkeypatch):
    """Return what puts the compiled templates in place of the sources."""
    made = freeze_prepared.write(ROOT, tmp_path)

    def take_prepared():
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(texts, "_source", lambda name: pytest.fail("a source was read"))
        texts._environment.cache_clear()

    texts._environment.cache_clear()
    yield take_prepared
    texts._environment.cache_clear()
    for name in made:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["verified", "what_if", "differs", "refused", "refused_early"])
def test_pages_are_the_same(load_case, view_of, switch, name):
    view = view_of(load_case(name))
    page = render(view)
    switch()
    assert render(view) == page


def test_escaping_is_the_same(load_case, view_of, switch):
    case = load_case("refused")
    case["result"]["sentence"] = '<script>"&\u202e\x1b'
    page = render(view_of(case))
    switch()
    assert render(view_of(case)) == page
    assert b"<script>" not in page
