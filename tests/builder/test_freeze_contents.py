"""The choices behind the frozen verifier, checked on the sources."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder import freeze, freeze_prepared, frozen_contents
from kit.errors import FileMissing, InternalError

ROOT = Path(__file__).parents[2]

IMPORT_ALL = """
import sys
from importlib import import_module
excluded, modules = sys.argv[1].split(), sys.argv[2].split()

class LeftOut:
    def find_spec(self, name, path=None, target=None):
        if any(name == each or name.startswith(each + ".") for each in excluded):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, LeftOut())
for name in modules:
    import_module(name)
"""


@pytest.fixture
def checkout(tmp_path):
    """Return a checkout with one file of each kind that the key is made of."""
    build = (freeze.LOCK, freeze.SPEC, "stella.py")
    builder = ("builder/__init__.py", "builder/freeze.py", "builder/freeze_prepared.py", "builder/frozen_contents.py")
    frozen = ("kit/__init__.py", "kit/trust/keys.py", "kit/schemas/kit.json", "templates/report.html.j2")
    for name in (*build, *builder, *frozen):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_every_frozen_module_imports_without_what_is_left_out(tmp_path):
    replaced = {name for name, _, _ in freeze_prepared.stand_ins(tmp_path)}
    words = [" ".join(set(frozen_contents.EXCLUDED) - replaced), " ".join([*frozen_contents.modules(ROOT), "stella"])]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_modules_and_data_are_found_by_their_place(checkout):
    assert frozen_contents.modules(checkout) == ["kit", "kit.trust.keys"]
    assert frozen_contents.data_files(checkout) == [
        (str(checkout / "kit/schemas/kit.json"), "kit/schemas"),
        (str(checkout / "templates/report.html.j2"), "templates"),
    ]


@pytest.mark.parametrize(
    "name",
    [freeze.LOCK, freeze.SPEC, "stella.py", "builder/freeze.py", "kit/trust/keys.py", "templates/report.html.j2"],
)
def test_a_change_of_any_source_changes_the_key(checkout, name):
    before = freeze.source_key(checkout)
    assert freeze.source_key(checkout) == before
    (checkout / name).write_text("changed")
    assert freeze.source_key(checkout) != before


def test_a_new_module_changes_the_key(checkout):
    before = freeze.source_key(checkout)
    (checkout / "kit/new.py").touch()
    assert freeze.source_key(checkout) != before


def test_an_up_to_date_build_is_not_made_again(checkout, tmp_path):
    work = tmp_path / "work"
    frozen = freeze.Frozen(work / "frozen" / freeze.platform())
    frozen.directory.mkdir(parents=True)
    frozen.one_file.touch()
    (work / "frozen" / f"{freeze.platform()}.key").write_text(freeze.source_key(checkout))
    assert freeze.freeze(checkout, work) == frozen


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("excluded module named socket - imported by verifier.checks (delayed), tuf.api (top-level)", True),
        ("missing module named 'univers.versions' - imported by tuf (top-level), scanner.versions (delayed)", True),
        ("excluded module named builder - imported by stella (top-level)", True),
        ("missing module named 'scanner.explain' - imported by verifier.run (top-level)", False),
        ("excluded module named socket - imported by tuf.api (top-level), securesystemslib.kits (optional)", False),
        ("missing module named pwd - imported by posixpath (delayed, conditional, optional)", False),
    ],
)
def test_a_module_of_ours_that_needs_what_is_left_out_fails_the_build(tmp_path, line, wrong):
    (tmp_path / "build_bundle").mkdir()
    (tmp_path / "build_bundle" / "warn-build_bundle.txt").write_text(f"This file lists modules\n\n{line}\n")
    if wrong:
        with pytest.raises(InternalError, match=line.split()[3].strip("'")):
            freeze._refuse_missing_imports(tmp_path)
    else:
        freeze._refuse_missing_imports(tmp_path)


def test_a_freezer_that_leaves_no_list_is_not_trusted(tmp_path):
    with pytest.raises(FileMissing):
        freeze._refuse_missing_imports(tmp_path)


def test_a_failing_step_says_what_it_printed():
    with pytest.raises(InternalError, match=r"raise SystemExit.* ended with 3: spoken"):
        freeze._call([sys.executable, "-c", "print('spoken'); raise SystemExit(3)"])
