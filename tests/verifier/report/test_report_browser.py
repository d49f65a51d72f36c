"""The auditor's page in a browser: it renders, and the browser has nothing to complain about."""

import shutil
import subprocess

import pytest

from verifier.report import render

NAMES = ("verified", "what_if", "refused_early")


@pytest.fixture
def browse(tmp_path):
    """Return what loads a page in Chromium and gives the complaints of its console and the document as rendered."""
    program = shutil.which("chromium")
    assert program, "this test needs Debian's package chromium"

    def load(page: bytes) -> tuple[list[str], str]:
        path = tmp_path / "page.html"
        path.write_bytes(page)
        done = subprocess.run(
            [
                program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--enable-logging=stderr",
                f"--user-data-dir={tmp_path / 'profile'}",
                "--dump-dom",
                path.as_uri(),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        return [line for line in done.stderr.splitlines() if "CONSOLE" in line], done.stdout

    return load


@pytest.mark.parametrize("name", NAMES)
def test_the_browser_renders_the_page_without_complaint(browse, load_case, view_of, name):
    case = load_case(name)
    complaints, document = browse(render(view_of(case)))
    assert complaints == []
    assert case["result"]["verdict"] in document
    assert document.rstrip().endswith("</html>")


def test_the_browser_would_complain_about_another_style_sheet(browse, load_case, view_of):
    page = render(view_of(load_case("refused_early")))
    complaints, _ = browse(page.replace(b"<style>", b"<style>/* changed */", 1))
    assert any("style" in line for line in complaints)
