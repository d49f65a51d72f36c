"""File names that every carrier can hold and every reader sees alike: docs/format.md section 1.3."""

import re
import unicodedata
from collections.abc import Iterable

from kit.errors import HostileName, NameCollision

MAX_CHARACTERS = 200
MAX_LEVELS = 32
MAX_COMPONENT_BYTES = 255

_FORBIDDEN = re.compile(r'[\\:*?"<>|]')
_SHORT_ALIAS = re.compile(r"~[0-9]")
_DEVICES = r"con|prn|aux|nul|conin\$|conout\$|clock\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3]"
_DEVICE = re.compile(_DEVICES)

# The names that we create: they need no other look than at their length and depth.
_COMPONENT = rf"(?!(?:{_DEVICES})(?:[./]|$))(?!\.)[a-z0-9._-]*[a-z0-9_-]"
_PLAIN = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")

# Control, format, surrogate, private-use and unassigned characters, line and paragraph separators. Unassigned ones
# because a later Unicode version may give them a case or a decomposition, so that two readers would disagree.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

# Default_Ignorable_Code_Point characters (they show as nothing) that the categories above do not cover.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef\u2800]"
)


def check_name(path: str) -> str:
    """Return the path unchanged when it is a relative file name that the rules allow; HostileName otherwise."""
    fault = _fault(path)
    if fault is not None:
        raise HostileName(path=shown(path), detail=fault)
    return path


def check_names(paths: Iterable[str]) -> None:
    """Check every path, and that no two collide and none is another's parent.

    HostileName for a path, NameCollision for a pair. Paths are compared after NFC and case folding.
    """
    seen: dict[str, str] = {}
    parents: dict[str, str] = {}
    for path in paths:
        key = fold(check_name(path))
        other = seen.get(key) or parents.get(key)
        if other is not None:
            raise NameCollision(path=shown(path), other=shown(other))
        seen[key] = path
        end = key.rfind("/")
        while end > 0 and (parent := key[:end]) not in parents:
            if parent in seen:
                raise NameCollision(path=shown(path), other=shown(seen[parent]))
            parents[parent] = path
            end = key.rfind("/", 0, end)


def fold(path: str) -> str:
    """Return the form under which two names are the same file on some file system."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def shown(path: str) -> str:
    """Return a path that may be anything as ASCII text of a bounded length, fit for an error's details."""
    return ascii(path)[1:-1][:MAX_CHARACTERS]


def _fault(path: str) -> str | None:
    """Return what is wrong with a path, or None."""
    if not path:
        return "empty"
    if len(path) > MAX_CHARACTERS:
        return f"longer than {MAX_CHARACTERS} characters"
    if path.count("/") >= MAX_LEVELS:
        return f"deeper than {MAX_LEVELS} levels"
    if _PLAIN.fullmatch(path):
        return None
    fault = _character_fault(path)
    if fault is not None:
        return fault
    for component in path.split("/"):
        fault = _component_fault(component)
        if fault is not None:
            return fault
    return None


def _character_fault(path: str) -> str | None:
    if not path.isascii():
        if not unicodedata.is_normalized("NFC", path):
            return "not in Unicode normal form NFC"
        if _INVISIBLE.search(path):
            return "invisible character"
    for character in path:
        if unicodedata.category(character) in _FORBIDDEN_CATEGORIES:
            return "control, format, bidirectional, private or unassigned character"
    if _FORBIDDEN.search(path):
        return 'one of \\ : * ? " < > |'
    if _SHORT_ALIAS.search(path):
        return "a tilde followed by a digit"
    return None


def _component_fault(component: str) -> str | None:
    if not component:
        return "empty component (absolute path, double or trailing slash)"
    if component in {".", ".."}:
        return "dot component"
    if component[-1] == "." or component[-1].isspace():
        return "component ends in a dot or a space"
    if len(component.encode("utf-8")) > MAX_COMPONENT_BYTES:
        return f"component longer than {MAX_COMPONENT_BYTES} bytes"
    if _DEVICE.fullmatch(component.split(".", 1)[0].rstrip(" ").casefold()):
        return "Windows device name"
    return None
