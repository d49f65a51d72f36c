"""What makes releases, without making one: same bytes from the same folder, nothing of the machine, what is pinned."""

import os
from pathlib import Path

import pytest

from kit.errors import InternalError
from tools.release import bill, cpython, emulation, pack, reproduce, sources


def test_a_packed_folder_is_the_same_whatever_its_dates_and_order(tmp_path: Path) -> None:
    for place, names in (("one", ["a", "b"]), ("two", ["b", "a"])):
        (tmp_path / place).mkdir()
        for name in names:
            (tmp_path / place / name).write_bytes(name.encode() * 99)
    os.utime(tmp_path / "two" / "a", (1, 1))
    first, second = (pack.pack(b"launcher", tmp_path / place, lambda content: content) for place in ("one", "two"))
    assert first == second


def test_texts_name_no_directory_of_the_build(tmp_path: Path) -> None:
    made, scratch = tmp_path / "made", tmp_path / "work" / "scratch"
    made.mkdir()
    (made / "config.py").write_text(f"{scratch}/python and {scratch.parent}/tools/cc")
    cpython._replace_paths(made, scratch)
    assert (made / "config.py").read_text() == f"{cpython.BUILT_IN}/python and {cpython.BUILT_IN}/tools/cc"


def test_a_program_that_names_the_directory_of_its_build_fails_it(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "python").write_bytes(b"\x7fELF" + os.fsencode(tmp_path / "work"))
    with pytest.raises(InternalError, match="python names the directory"):
        cpython._replace_paths(tmp_path / "made", tmp_path / "work" / "scratch")


def test_differences_are_bytes_links_and_what_is_a_program(tmp_path: Path) -> None:
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        for name in ("same", "bytes", "mode"):
            (tmp_path / place / name).write_text(name)
    (tmp_path / "two" / "bytes").write_text("others")
    (tmp_path / "two" / "mode").chmod(0o755)
    (tmp_path / "two" / "link").symlink_to("same")
    assert reproduce.differences(tmp_path / "one", tmp_path / "two") == ["bytes", "link", "mode"]


@pytest.mark.parametrize("machine", sorted(sources.ARCHITECTURES))
def test_every_binary_package_is_pinned_for_each_machine(machine: str) -> None:
    for one in sources.packages("binary", machine):
        assert len(one.files) == 1
        assert one.wanted == f"{one.name}:{sources.ARCHITECTURES[machine]}={one.version}"


def test_every_vulnerability_that_is_told_has_a_reason() -> None:
    told = bill.vulnerabilities()
    assert len(told) == len({one["id"] for one in told}) >= 13
    assert {one["analysis"]["state"] for one in told} == {"not_affected"}


def test_a_patch_of_tests_alone_mends_nothing(tmp_path: Path) -> None:
    (tmp_path / "series").write_text("mended.patch\nskip-CVE-2023-52425.patch\n# old.patch\n")
    (tmp_path / "mended.patch").write_text("Fix CVE-2026-1\n for CVE-2026-4224\n--- a/x.c\n+++ b/x.c\n")
    (tmp_path / "skip-CVE-2023-52425.patch").write_text("--- a/Lib/test/x.py\n+++ b/Lib/test/x.py\n")
    assert [one["resolves"] for one in bill._patches(tmp_path)] == [
        [{"type": "security", "id": "CVE-2026-4224"}],
        [{"type": "defect", "name": "skip-CVE-2023-52425.patch"}],
    ]


def test_programs_of_this_machine_need_no_words_before() -> None:
    assert emulation.words_before(os.uname().machine) == []
