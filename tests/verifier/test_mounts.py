"""A site that lies on the kit's own medium: refused where media are told from disks, said where they are not."""

from pathlib import Path

import pytest

from kit.errors import UsageError
from verifier import mounts

TABLE = r"""22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
23 22 8:3 / /data rw,relatime - ext4 /dev/sda3 rw
24 22 8:17 / /media/the\040stick rw,nosuid shared:5 master:2 - vfat /dev/sdb1 rw,fmask=0022
25 22 0:40 / /mnt/disc ro - iso9660 /dev/sr0 ro
26 23 0:41 / /data/over rw - tmpfs tmpfs rw
"""
HERE = mounts.mounts(TABLE)


@pytest.mark.parametrize(
    ("site", "kit"),
    [("/media/the stick/ops/site", "/media/the stick/offline"), ("/mnt/disc/site", "/mnt/disc")],
)
def test_site_on_the_medium_is_refused(site: str, kit: str) -> None:
    with pytest.raises(UsageError, match="the kit's own medium"):
        mounts.apart(Path(site), Path(kit), HERE)


@pytest.mark.parametrize(
    ("site", "kit"),
    [
        ("/srv/site", "/media/the stick/offline"),
        ("/srv/site", "/srv/offline"),
        ("/data/site", "/media/the stick/offline"),
        ("/data/over/site", "/data/offline"),
        ("/media/the stick of mine/site", "/media/the stick/offline"),
    ],
)
def test_site_apart_from_the_medium_is_not_spoken_of(site: str, kit: str) -> None:
    assert mounts.apart(Path(site), Path(kit), HERE) is None


def test_site_on_the_same_disk_as_the_kit_is_spoken_of() -> None:
    said = mounts.apart(Path("/data/site"), Path("/data/in/offline"), HERE)
    assert said is not None
    assert "/data" in said


def test_latest_mount_at_a_place_counts() -> None:
    again = mounts.mounts(TABLE + "27 22 8:33 / /data rw - vfat /dev/sdc1 rw\n")
    with pytest.raises(UsageError):
        mounts.apart(Path("/data/site"), Path("/data/offline"), again)


@pytest.mark.parametrize("text", ["", "garbage\n", " - \n", "1 2 3 4 5 - \n"])
def test_unreadable_table_names_no_mount(text: str) -> None:
    assert mounts.apart(Path("/data/site"), Path("/data/offline"), mounts.mounts(text)) is None


def test_this_hosts_own_table_is_understood() -> None:
    assert mounts.mount_of(Path("/proc/self"), mounts.mounts(mounts.MOUNTS.read_text())) is not None
