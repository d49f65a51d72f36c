"""Engine identity: what changes it, and where it comes from in a frozen program."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kit.bytes import canonical, digest
from kit.errors import FileMissing, MalformedDocument, NotCanonical
from scanner import engine

ROOT = Path(__file__).parents[3]
FILES = {"scanner/b.py": b"two", "scanner/a.py": b"one"}
POLICY = b'schemaVersion = "1.0"\nname = "p"\n'
SBOM = b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}'
PACKAGES = {"packaging": "1", "msgspec": "2"}


def test_the_document_is_canonical_and_its_files_ascend():
    identity = engine.engine_identity(FILES, PACKAGES)
    document = canonical.decode(identity.encoded)
    assert [one["path"] for one in document["files"]] == ["scanner/a.py", "scanner/b.py"]
    assert document["files"][0]["digest"] == digest.of_bytes(b"one")
    assert document["contract"] == "osv-match/1"
    assert identity.digest == digest.of_bytes(identity.encoded)


def test_the_order_of_the_arguments_does_not_count():
    backwards = engine.engine_identity(dict(reversed(FILES.items())), dict(reversed(PACKAGES.items())))
    assert backwards == engine.engine_identity(FILES, PACKAGES)


@pytest.mark.parametrize(
    ("files", "packages"),
    [
        (FILES | {"scanner/a.py": b"One"}, PACKAGES),
        (FILES | {"scanner/c.py": b""}, PACKAGES),
        ({"scanner/a.py": b"one"}, PACKAGES),
        ({"scanner/b.py": b"one", "scanner/a.py": b"two"}, PACKAGES),
        (FILES, PACKAGES | {"packaging": "1.0"}),
    ],
)
def test_any_change_of_a_file_or_a_library_is_another_engine(files, packages):
    assert engine.engine_identity(files, packages).digest != engine.engine_identity(FILES, PACKAGES).digest


def test_the_sources_of_this_checkout_are_in_the_identity_but_for_what_comes_afterwards():
    paths = {one.path for one in engine.from_source(ROOT).document.files}
    found = {path.relative_to(ROOT).as_posix() for path in (ROOT / "scanner").rglob("*.py")}
    assert {path for path in found if not path.startswith(engine.AFTERWARDS)} <= paths
    assert not any(path.startswith(engine.AFTERWARDS) for path in paths)
    assert all(any(path.startswith(each) for path in found) for each in engine.AFTERWARDS)
    assert "kit/bytes/canonical.py" in paths
    assert engine.current() == engine.from_source(ROOT)


def test_an_evaluation_needs_nothing_that_is_not_in_the_identity():
    words = f"""
import json, sys
from scanner import evaluate
given = evaluate.EvaluationInput(
    scan_id="s", time="2026-01-01T00:00:00Z", subject="s", feeds=[], vex=[], policy={POLICY!r}, sbom={SBOM!r}
)
assert len(evaluate.evaluate(given)) == 8
print(json.dumps([getattr(one, "__file__", None) for one in sys.modules.values()]))
"""
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, check=True)
    files = [Path(one) for one in json.loads(done.stdout) if one]
    used = {one.relative_to(ROOT).as_posix() for one in files if one.is_relative_to(ROOT / "scanner")}
    assert "scanner/findings.py" in used
    assert used <= {one.path for one in engine.from_source(ROOT).document.files}


def test_a_frozen_program_reads_the_embedded_document(monkeypatch, tmp_path):
    made = engine.engine_identity(FILES, PACKAGES)
    (tmp_path / engine.EMBEDDED_FILE).write_bytes(made.encoded)
    monkeypatch.setattr(engine, "__file__", str(tmp_path / "engine.py"))
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    engine.current.cache_clear()
    try:
        assert engine.current() == made
    finally:
        engine.current.cache_clear()


def test_a_frozen_program_without_the_document_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(engine, "__file__", str(tmp_path / "engine.py"))
    with pytest.raises(FileMissing):
        engine.load_embedded()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda data: data + b"\n", NotCanonical),
        (lambda data: data.replace(b"stella-engine", b"other-engine"), MalformedDocument),
        (lambda data: data.replace(b'"files":', b'"fields":'), MalformedDocument),
        (lambda data: data[:-1], MalformedDocument),
    ],
)
def test_a_document_of_another_form_is_refused(change, error):
    with pytest.raises(error):
        engine.parse(change(engine.engine_identity(FILES, PACKAGES).encoded))
