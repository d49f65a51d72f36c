"""The code of a slip, read back by a reader that is not ours: as PNG, as SVG and page in a browser, in a terminal."""

import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from kit import receipt_slip
from kit import result as results
from kit.errors import LimitExceeded
from tests.world import Replay, World
from verifier import receipt_code, receipt_page

Browse = Callable[[Path], Path]


def decoded(picture: Path) -> str:
    reader = shutil.which("zbarimg")
    assert reader, "this test needs Debian's package zbar-tools"
    only = ["-Sdisable", "-Sqrcode.enable"]  # of letters on a page it makes bar codes of other kinds now and then
    done = subprocess.run(
        [reader, "--quiet", "--raw", *only, str(picture)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def browse(tmp_path_factory: pytest.TempPathFactory) -> Browse:
    """Return what takes a picture of a page in Chromium."""
    program = shutil.which("chromium")
    assert program, "this test needs Debian's package chromium"
    place = tmp_path_factory.mktemp("browser")

    def take(page: Path) -> Path:
        picture = place / f"{page.name}.png"
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
        more = (f"--user-data-dir={place / 'profile'}", f"--screenshot={picture}", "--window-size=700,1000")
        log = "--enable-logging=stderr"
        done = subprocess.run(
            [program, *options, *more, log, page.as_uri()], capture_output=True, text=True, check=True, timeout=120
        )
        assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
        return picture

    return take


@pytest.fixture
def slip(world: World, replay: Replay) -> str:
    _, directory = replay(world.kit)
    return receipt_slip.encode((directory / "receipt.dsse.json").read_bytes())


def test_symbol_of_a_run_is_moderate_and_read_from_png(slip: str, tmp_path: Path) -> None:
    code = receipt_code.make(slip)
    assert code.version <= 14
    (tmp_path / "code.png").write_bytes(receipt_code.png(code))
    assert decoded(tmp_path / "code.png") == slip


def test_symbol_is_that_of_an_independent_call() -> None:
    segno = pytest.importorskip("segno")
    text = "STELLA1:" + "7H2K9QXM" * 40
    symbol = segno.make(text, error="m", boost_error=False, micro=False)
    assert [list(row) for row in receipt_code.make(text).rows] == [list(row) for row in symbol.matrix]


def test_encoder_is_loaded_without_its_writers_and_leaves_no_half_package_behind() -> None:
    make = "import sys; from verifier import receipt_code; receipt_code.make('STELLA1:'); "
    for words in ("sys.exit('xml.sax' in sys.modules or 'segno' in sys.modules)", "import segno; segno.make('x')"):
        subprocess.run([sys.executable, "-c", make + words], check=True)


def test_symbol_is_read_from_svg_in_a_browser(slip: str, tmp_path: Path, browse: Browse) -> None:
    (tmp_path / "code.svg").write_text(receipt_code.svg(receipt_code.make(slip)))
    assert decoded(browse(tmp_path / "code.svg")) == slip


@pytest.mark.parametrize("is_checked", [True, False])
def test_symbol_is_read_from_the_page_in_a_browser(
    world: World, replay: Replay, tmp_path: Path, browse: Browse, is_checked: bool
) -> None:
    _, directory = replay(world.kit)
    raw = (directory / "receipt.json").read_bytes()
    slip = receipt_slip.encode((directory / "receipt.dsse.json").read_bytes())
    receipt = results.parse_receipt(raw)
    digest = "sha256:" + "0" * 64
    page = receipt_page.render(receipt, digest, slip, receipt_code.make(slip), is_checked=is_checked)
    (tmp_path / "page.html").write_bytes(page)
    assert decoded(browse(tmp_path / "page.html")) == slip
    assert (b"NOT CHECKED" in page) is not is_checked
    assert b"<script" not in page
    assert b"http" not in page.replace(b'http-equiv="Content-Security-Policy"', b"")


def picture_of(rows: list[list[int]], place: Path, wide: int, high: int) -> Path:
    """Write cells as a PNG of their own size, 1 for dark."""
    lines = b"".join((b"\0" + bytes(0 if dark else 255 for dark in row for _ in range(wide))) * high for row in rows)
    header = struct.pack(">2I5B", len(rows[0]) * wide, len(rows) * high, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    place.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(receipt_code._chunk(*part) for part in parts))
    return place


def test_marks_on_paper_are_read(slip: str, tmp_path: Path) -> None:
    drawn = receipt_code.marks(receipt_code.make(slip))
    assert set(drawn) == {"#", " ", "\n"}
    lines = drawn.splitlines()
    width = max(map(len, lines)) + 8
    rows = [[int(sign == "#") for sign in line.ljust(width)] for line in lines]
    assert decoded(picture_of(rows, tmp_path / "marks.png", 4, 8)) == slip


def cells(drawn: str) -> list[list[int]]:
    """Return what a terminal shows of lines of coloured spaces, 1 for black."""
    rows = []
    for line in drawn.splitlines():
        pieces = line.split("\x1b[")[1:]
        assert pieces[-1] == "0m"
        row = []
        for piece in pieces[:-1]:
            colour, _, blanks = piece.partition("m")
            assert set(blanks) == {" "}
            row += [{"40": 1, "47": 0}[colour]] * len(blanks)
        rows.append(row)
    return rows


def test_coloured_spaces_on_a_wide_terminal_are_read(slip: str, tmp_path: Path) -> None:
    code = receipt_code.make(slip)
    drawn = receipt_code.for_screen(code, columns=receipt_code.width_of(code), colours=True, blocks=True)
    assert drawn is not None
    assert drawn.isascii()
    assert decoded(picture_of(cells(drawn), tmp_path / "wide.png", 4, 8)) == slip


def test_half_blocks_fit_80_columns_and_are_read(slip: str, tmp_path: Path) -> None:
    drawn = receipt_code.for_screen(receipt_code.make(slip), columns=80, colours=True, blocks=True)
    assert drawn is not None
    halves = {" ": (0, 0), "\u2580": (1, 0), "\u2584": (0, 1), "\u2588": (1, 1)}
    rows: list[list[int]] = []
    for line in drawn.splitlines():
        body = line.removeprefix("\x1b[0;30;47m").removesuffix("\x1b[0m")
        assert len(body) <= 80
        rows += [[halves[sign][half] for sign in body] for half in (0, 1)]
    assert decoded(picture_of(rows, tmp_path / "halves.png", 8, 8)) == slip


def test_terminal_that_is_too_narrow_gets_nothing(slip: str) -> None:
    code = receipt_code.make(slip)
    assert receipt_code.for_screen(code, columns=80, colours=True, blocks=False) is None
    assert receipt_code.for_screen(code, columns=80, colours=False, blocks=True) is None
    assert receipt_code.for_screen(code, columns=60, colours=True, blocks=True) is None
    plain = receipt_code.for_screen(code, columns=200, colours=False, blocks=True)
    assert plain == receipt_code.marks(code)


def test_slip_that_needs_more_than_version_25_is_refused() -> None:
    fits = "STELLA1:".ljust(1451, "0")
    assert receipt_code.make(fits).version == receipt_code.MAX_VERSION
    with pytest.raises(LimitExceeded):
        receipt_code.make(fits + "0")


def test_quiet_zone_is_four_modules() -> None:
    framed = receipt_code.make("STELLA1:").framed(receipt_code.QUIET)
    assert all(not any(row) for row in (*framed[:4], *framed[-4:]))
    assert all(not any((*row[:4], *row[-4:])) for row in framed)
    assert all(len(one) == len(other) for one, other in pairwise(framed))
