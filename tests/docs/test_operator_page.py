"""docs/operator.md is carried out as it stands there by somebody who has the disc and an otherwise empty root."""

import shutil
from pathlib import Path

import pytest

from tests import operator_page
from tests.operator_page import Desk, Home

pytestmark = pytest.mark.frozen


def test_the_page_leads_from_the_root_to_the_receipt(frozen_verifier, tmp_path: Path) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    home, desk_place = Home(tmp_path / "home"), tmp_path / "desk"
    home.place.mkdir()
    desk_place.mkdir()
    disc = home.disc(frozen_verifier.directory)
    # This machine's own interpreter was frozen, which asks for this machine's C library; a release asks for nothing.
    libraries = operator_page.libraries_of(frozen_verifier.folder_program.parent)
    program = f"bin/{frozen_verifier.directory.name}/stella-onedir/stella"
    desk = Desk(disc, desk_place, program, libraries)
    desk.follow()
    assert len(desk.ran) >= 16
    assert '"VERIFIED"' in operator_page.back_at_home(home, desk)
