"""A typed look at JSON documents of others; what is wrong with a part is said with its JSON pointer (RFC 6901)."""

from typing import Final

import msgspec

from kit.bytes.canonical import JsonValue

Record = dict[str, JsonValue]

MAX_LISTED: Final = 10_000


class MalformedPart(Exception):
    """A part of a document has the wrong shape; the reader skips the part or refuses the document."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(pointer, detail)
        self.pointer = pointer
        self.detail = detail


class Skipped(msgspec.Struct, frozen=True, order=True):
    """A part of a document that was not read: where it stands (JSON pointer), a stable reason, a detail for people."""

    pointer: str
    reason: str
    detail: str = ""


class Unread:
    """Gathers what is skipped; of a document that is broken throughout, the first parts are listed, others counted."""

    def __init__(self) -> None:
        self._listed: list[Skipped] = []
        self._more = 0

    def note(self, pointer: str, reason: str, detail: str = "") -> None:
        """Note a part that was not read."""
        if len(self._listed) < MAX_LISTED:
            self._listed.append(Skipped(pointer, reason, detail))
        else:
            self._more += 1

    def note_fault(self, fault: MalformedPart) -> None:
        """Note a part that was not read because it is malformed."""
        self.note(fault.pointer, "malformed", fault.detail)

    def in_order(self) -> tuple[Skipped, ...]:
        """Return what was noted, sorted by pointer; the count of others stands at the pointer of the whole document."""
        more = [Skipped("", "more", f"{self._more} further parts")] if self._more else []
        return tuple(sorted(self._listed + more))


def record(value: JsonValue, pointer: str) -> Record:
    """Return a value that has to be an object."""
    if not isinstance(value, dict):
        raise MalformedPart(pointer, "not an object")
    return value


def items(owner: Record, name: str, pointer: str) -> list[JsonValue]:
    """Return a member that has to be an array; absent and null are the empty array."""
    value = owner.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise MalformedPart(f"{pointer}/{name}", "not an array")
    return value


def text(owner: Record, name: str, pointer: str) -> str | None:
    """Return a member that has to be a string; absent, null and empty are ``None``."""
    value = owner.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise MalformedPart(f"{pointer}/{name}", "not a string")
    return value or None


def required(owner: Record, name: str, pointer: str) -> str:
    """Return a member that has to be a string that is not empty."""
    value = text(owner, name, pointer)
    if value is None:
        raise MalformedPart(f"{pointer}/{name}", "missing")
    return value
