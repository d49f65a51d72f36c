"""The difference between recorded and replayed outputs, prepared for people: member, place, what happened, why."""

import msgspec

from verifier.report_rows import JsonObject, inline, rows_of, section, text_of, words

CAUSES = {
    "feed-record-added": "the feed gained a record",
    "feed-record-changed": "the feed's record changed",
    "feed-record-withdrawn": "the record was withdrawn",
    "feed-record-removed": "the feed lost a record",
    "alias-merge": "two findings became one",
    "alias-split": "one finding became two",
    "vex-statement": "a VEX statement decides otherwise",
    "policy-rule": "a policy rule decides otherwise",
    "sbom-component": "the SBOM has other components",
    "reachability-evidence": "a call graph or trace says otherwise",
    "tool": "another tool ran",
    "engine-contract": "another engine or contract ran",
    "ordering": "only the order differs",
    "input": "one input differs, and its parts are not at hand",
    "input-identity": "the name or digest of an input",
    "consequence": "it follows from another difference",
    "unexplained": "no cause was found",
}
"""Cause classes in words; a class that is not listed is shown under its own name."""

CONSEQUENCE = "consequence"
MOST_ENTRIES = 100
_SHORT = 60
_SIGNS = {"appeared": "+", "vanished": "-", "changed": "~", "metadata": "."}


class EntryView(msgspec.Struct, frozen=True):
    """One difference at one place of a member; ``place`` is the list that it is in, if that is not the findings."""

    sign: str
    kind: str
    place: str
    subject: str
    pointer: str
    cause: str
    cause_words: str
    detail: str
    before: str
    after: str

    @property
    def tone(self) -> str:
        """Return the style of the difference; a kind that we do not know looks like a change."""
        return self.kind if self.kind in _SIGNS else "changed"

    @property
    def is_short(self) -> bool:
        """Tell whether there are values before and after the change that fit into one line."""
        return bool(self.before or self.after) and len(self.before) + len(self.after) <= _SHORT


class MemberView(msgspec.Struct, frozen=True):
    """One output member with its own differences; ``more`` counts those above the limit, ``follows`` consequences."""

    path: str
    state: str
    recorded: str
    replayed: str
    entries: tuple[EntryView, ...]
    more: int
    follows: int


class CauseCount(msgspec.Struct, frozen=True):
    """How many differences one cause explains."""

    cause: str
    words: str
    count: str


class DifferenceView(msgspec.Struct, frozen=True):
    """The whole tree: ``changed`` holds the members that are not equal, ``told`` those that differ by themselves.

    ``following`` are the paths of the others, whose differences only follow, ``equal`` those of the equal members.
    """

    is_equal: bool
    changed: tuple[MemberView, ...]
    told: tuple[MemberView, ...]
    following: tuple[str, ...]
    equal: tuple[str, ...]
    causes: tuple[CauseCount, ...]
    kinds: tuple[CauseCount, ...]


def difference_view(difference: JsonObject | None) -> DifferenceView | None:
    """Return a difference ready to be shown, ``None`` where a run made none."""
    if difference is None:
        return None
    members = tuple(_member(row) for row in rows_of(difference, "members"))
    changed = tuple(member for member in members if member.state != "equal")
    causes = section(difference, "causes")
    kinds = [entry.kind for member in changed for entry in member.entries]
    return DifferenceView(
        is_equal=not changed,
        changed=changed,
        told=tuple(member for member in changed if member.entries),
        following=tuple(member.path for member in changed if not member.entries),
        equal=tuple(member.path for member in members if member.state == "equal"),
        causes=tuple(
            CauseCount(name, CAUSES.get(name, name), text_of(causes, name) or "0")
            for name in sorted(causes, key=lambda name: (name == CONSEQUENCE, name))
        ),
        kinds=tuple(CauseCount(kind, kind, str(kinds.count(kind))) for kind in _SIGNS if kind in kinds),
    )


def _member(row: JsonObject) -> MemberView:
    entries = [_entry(entry) for entry in rows_of(row, "entries")]
    own = [entry for entry in entries if entry.cause != CONSEQUENCE]
    return MemberView(
        path=text_of(row, "path") or "unnamed member",
        state=text_of(row, "state") or "changed",
        recorded=text_of(row, "recordedDigest") or "",
        replayed=text_of(row, "replayedDigest") or "",
        entries=tuple(own[:MOST_ENTRIES]),
        more=max(0, len(own) - MOST_ENTRIES),
        follows=len(entries) - len(own),
    )


def _entry(row: JsonObject) -> EntryView:
    kind, cause = text_of(row, "kind") or "changed", text_of(row, "cause") or "unexplained"
    return EntryView(
        sign=_SIGNS.get(kind, "~"),
        kind=kind,
        place=_list_of(text_of(row, "pointer") or "") if kind in _SIGNS and kind != "metadata" else "",
        subject=text_of(row, "subject") or "",
        pointer=text_of(row, "pointer") or "",
        cause=cause,
        cause_words=CAUSES.get(cause, cause),
        detail=text_of(row, "detail") or "",
        before=inline(row["before"]) if "before" in row else "",
        after=inline(row["after"]) if "after" in row else "",
    )


def _list_of(pointer: str) -> str:
    name = pointer.removeprefix("/").partition("/")[0]
    return "" if name == "findings" else words(name)
