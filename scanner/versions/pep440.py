"""PyPI: PEP 440, as ``packaging`` reads it (docs/matching.md section 3.1)."""

from typing import Final, TypeAlias

from packaging.version import Version

from scanner.versions.form import MAX_LENGTH, Unparsable

# epoch, release, pre-release, post-release, development release, local version
Key: TypeAlias = tuple[int, tuple[int, ...], tuple[int, int], int, tuple[int, int], tuple[tuple[int, int, str], ...]]

_ABSENT: Final = -1
_STAGES: Final = {"a": 0, "b": 1, "rc": 2}
_BEFORE_STAGES, _AFTER_STAGES = (_ABSENT, 0), (3, 0)


def key(version: str) -> Key:
    """Return the sortable key of a PEP 440 version; legacy spellings are refused with ``Unparsable``.

    The key is the order of PEP 440 in plain tuples, which compare several times faster than ``Version`` does.
    """
    # Case-insensitive matching folds a few letters beyond ASCII onto ASCII ones.
    if len(version) > MAX_LENGTH or not version.isascii():
        raise Unparsable(version)
    try:
        found = Version(version)
    except ValueError:
        raise Unparsable(version) from None
    release = found.release
    while release and release[-1] == 0:
        release = release[:-1]
    if found.pre:
        stage = _STAGES[found.pre[0]], found.pre[1]
    else:
        stage = _BEFORE_STAGES if found.post is None and found.dev is not None else _AFTER_STAGES
    return (
        found.epoch,
        release,
        stage,
        _ABSENT if found.post is None else found.post,
        (1, 0) if found.dev is None else (0, found.dev),
        () if found.local is None else tuple(map(_local_part, found.local.split("."))),
    )


def _local_part(part: str) -> tuple[int, int, str]:
    return (1, int(part), "") if part.isdigit() else (0, 0, part)
