"""docs/operator.md is carried out with the release, in a root that has the disc, /proc and one directory."""

from pathlib import Path

import pytest

from tests import operator_page
from tests.operator_page import Desk, Home


@pytest.mark.parametrize("options", [(), ("--remount-ro", "/")], ids=["empty root", "read-only root"])
def test_the_page_leads_from_the_root_to_the_receipt(released, tool, tmp_path: Path, options) -> None:
    tool("bwrap")
    home, place = Home(tmp_path / "home"), tmp_path / "desk"
    home.place.mkdir()
    place.mkdir()
    desk = Desk(home.disc(released.directory), place, f"bin/{released.directory.name}/stella", options=options)
    desk.follow()
    assert '"VERIFIED"' in operator_page.back_at_home(home, desk)
