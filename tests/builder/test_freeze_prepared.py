"""What is made ready while freezing: it says and renders what the sources say and render."""

import sys
from pathlib import Path

import pytest

import stella
from builder import freeze_prepared
from verifier import texts

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted(path.name for path in (ROOT / "templates").glob(freeze_prepared.TEMPLATES))


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """Put the generated package where a frozen program has it."""
    modules = freeze_prepared.write(ROOT, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield modules
    for name in modules:
        sys.modules.pop(name, None)
    texts._environment.cache_clear()


@pytest.fixture(scope="module")
def helps():
    return freeze_prepared.help_texts()


def test_every_command_and_every_command_of_a_group_has_its_help(helps):
    assert {words.partition(" ")[0] for words in helps} == {
        name.partition(" ")[0] for name, command in stella.COMMANDS.items() if stella.present(command)
    }
    assert {"verify", "offline", "offline init", "sync export"} <= set(helps)


@pytest.mark.parametrize("words", [["verify"], ["offline"], ["offline", "init"]], ids=" ".join)
def test_prepared_help_is_what_the_command_prints(words, helps, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert stella.main([*words, "--help"]) == 0
    assert capsys.readouterr().out == helps[" ".join(words)]


def test_prepared_help_needs_no_command_line_library(prepared, helps, capsys, monkeypatch):
    monkeypatch.setattr(stella, "dispatch", lambda words: pytest.fail("the library was asked"))
    assert stella.main(["verify", "--help"]) == 0
    assert capsys.readouterr().out == helps["verify"]


def test_help_after_other_words_is_left_to_the_command(prepared, monkeypatch):
    asked = []
    monkeypatch.setattr(stella, "dispatch", lambda words: asked.append(words) or 0)
    assert stella.main(["verify", "x", "--help"]) == stella.main(["nonsense", "--help"]) == 0
    assert asked == [["verify", "x", "--help"], ["nonsense", "--help"]]


def test_the_same_package_is_written_twice(tmp_path):
    for place in ("a", "b"):
        freeze_prepared.write(ROOT, tmp_path / place)
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / place).rglob("*.py")} for place in "ab")
    assert first == second
    assert len(first) == 2 + len(TEMPLATES)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_frozen_program_takes_the_compiled_template(name, prepared, monkeypatch):
    texts._environment.cache_clear()
    assert texts.module_of(name) in prepared
    monkeypatch.setattr(texts, "_source", lambda name: pytest.fail("a source was read"))
    loaded = texts._environment().get_template(name)
    assert sys.modules[texts.module_of(name)].root is loaded.root_render_func


def test_without_the_package_the_sources_are_compiled(monkeypatch):
    texts._environment.cache_clear()
    assert "prepared" not in sys.modules
    assert texts.render("report.css.j2") == (ROOT / "templates" / "report.css.j2").read_text(encoding="utf-8")
