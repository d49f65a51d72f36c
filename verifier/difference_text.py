"""The difference tree for a terminal: findings first, each under the change that brought it about.

All of it is printable ASCII of at most 80 columns.
"""

import textwrap
from collections.abc import Iterator, Sequence

from scanner import difference, outputs
from scanner.difference import Difference, Entry, MemberDifference
from verifier import texts
from verifier.compare import NOT_KEPT

WIDTH = 80
MOST_UNDER_A_CHANGE = 20
MOST_CHANGES = 200
_SIGNS = {"appeared": "+", "vanished": "-", "changed": "~", "metadata": "."}
_FOLLOWING = (difference.CONSEQUENCE, difference.INPUT_IDENTITY)


def difference_text(tree: Difference) -> str:
    """Return the tree as lines: findings by cause, then other members, then what only follows."""
    if tree.equal:
        return "no difference: every member is equal\n"
    findings = next((member for member in tree.members if member.path == outputs.FINDINGS), None)
    lines = list(_told_findings(findings.entries if findings else ()))
    for member in tree.members:
        if member.state != "equal" and member.path != outputs.FINDINGS:
            lines += _other(member)
    following = sum(one.cause in _FOLLOWING for member in tree.members for one in member.entries)
    if following:
        lines.append(f"{following} further differences follow from these or name an input")
    digests = [member.path for member in tree.members if [one.detail for one in member.entries] == [NOT_KEPT]]
    lines += _wrapped(f"differ, but their bytes were not kept: {', '.join(digests)}", "", "  ") if digests else []
    equal = [member.path for member in tree.members if member.state == "equal"]
    lines += _wrapped(f"equal: {', '.join(equal)}", "", "  ") if equal else []
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _told_findings(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield the findings, those of one cause together, in the order of the causes' first findings."""
    by_cause: dict[tuple[str, tuple[str, ...]], list[Entry]] = {}
    for one in entries:
        changes = tuple(change.id for change in one.changes) or (one.detail,)
        by_cause.setdefault((one.cause, changes), []).append(one)
    if not by_cause:
        return
    counts = [
        f"{sum(one.kind == kind for one in _things(entries))} {kind}" for kind in ("appeared", "vanished", "changed")
    ]
    yield f"findings: {', '.join(counts)}"
    for place, group in enumerate(sorted(by_cause.items(), key=_weight)):
        if place == MOST_CHANGES:
            yield f"({len(by_cause) - MOST_CHANGES} more causes; --json has them all)"
            return
        (cause, _), found = group
        yield "|"
        yield from _wrapped(f"{cause}: {found[0].detail}", "|-- ", "|     ")
        lines = list(_under(found))
        for line in lines[:MOST_UNDER_A_CHANGE]:
            yield from _wrapped(line, "|     ", "|         ")
        if len(lines) > MOST_UNDER_A_CHANGE:
            yield f"|     ({len(lines) - MOST_UNDER_A_CHANGE} more)"
    yield "|"


def _weight(group: tuple[tuple[str, tuple[str, ...]], list[Entry]]) -> tuple[bool, int, str, tuple[str, ...]]:
    """Sort what no input accounts for first, then by the number of differences."""
    (cause, changes), found = group
    return cause != difference.UNEXPLAINED, -len(found), cause, changes


def _under(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield a line for each thing that a cause changed; the members of one finding share theirs."""
    members: dict[tuple[str, str, str], list[Entry]] = {}
    for one in entries:
        parts = one.pointer.split("/")
        members.setdefault((one.kind, one.subject, "/".join(parts[:3])), []).append(one)
    for (kind, subject, pointer), found in members.items():
        where = pointer.split("/")[1] if pointer.startswith("/") else ""
        room = f" in {where}" if where not in {"findings", ""} else ""
        names = [one.pointer.split("/")[3] for one in found if one.pointer.count("/") > 2]
        short = [f"{one.before} -> {one.after}" for one in found if kind == "changed" and _is_short(one)]
        told = (f": {', '.join(names)}" if names else "") + (f" ({'; '.join(short)})" if short else "")
        yield f"{_SIGNS.get(kind, '~')} {subject}{room}{told}"


def _is_short(one: Entry) -> bool:
    return bool(one.before and one.after) and len(one.before or "") + len(one.after or "") < WIDTH // 2


def _things(entries: Sequence[Entry]) -> list[Entry]:
    """Return one entry for each finding."""
    found = {
        "/".join(one.pointer.split("/")[:3]) + one.kind: one for one in entries if one.pointer.startswith("/findings/")
    }
    return list(found.values())


def _other(member: MemberDifference) -> Iterator[str]:
    """Yield the lines of a member that is not the findings; what only follows is counted, not listed."""
    own = [one for one in member.entries if one.cause not in _FOLLOWING and one.detail != NOT_KEPT]
    if not own:
        return
    yield from _wrapped(f"{member.path}  {member.state}", "|-- ", "|   ")
    for one in own[:MOST_UNDER_A_CHANGE]:
        yield from _wrapped(
            f"{_SIGNS.get(one.kind, '~')} {one.subject} at {one.pointer or '/'}", "|     ", "|         "
        )
        yield from _wrapped(f"{one.cause}: {one.detail}", "|       ", "|         ")
    if len(own) > MOST_UNDER_A_CHANGE:
        yield f"|     ({len(own) - MOST_UNDER_A_CHANGE} more; --json has them all)"
    yield "|"


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        texts.printable(text), WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )
