"""stella diff: two sets of outputs held against one another, with the cause of each difference.

Causes are looked up in the inputs of both sides. Where one side has none, only what both verdicts say about the inputs
is known: a cause is named if exactly one input differs, and no part of it can be.
"""

from collections import Counter

import msgspec

from scanner import difference
from scanner.difference import Difference, Entry, MemberDifference
from scanner.explain import explain, explain_outputs
from verifier.sources import Source

NOT_KEPT = "the bytes of this member were not kept"


def diff(first: Source, second: Source) -> Difference:
    """Return the difference of two sources' outputs; members whose bytes one side did not keep are told by digest."""
    kept = first.members.keys() & second.members.keys()
    kept |= (first.digests.keys() ^ second.digests.keys()) & (first.members.keys() | second.members.keys())
    recorded, replayed = ({path: one.members[path] for path in kept & one.members.keys()} for one in (first, second))
    changed = first.engine != second.engine
    if first.inputs is not None and second.inputs is not None:
        tree = explain(recorded, replayed, first.inputs, second.inputs, engine_changed=changed)
    else:
        tree = explain_outputs(recorded, replayed, engine_changed=changed)
    told = {member.path for member in tree.members}
    others = [
        _by_digest(path, first.digests.get(path), second.digests.get(path))
        for path in (first.digests.keys() | second.digests.keys()) - told
    ]
    members = tuple(sorted((*tree.members, *others), key=lambda one: one.path))
    causes = Counter(one.cause for member in members for one in member.entries)
    equal = all(member.state == "equal" for member in members)
    return msgspec.structs.replace(tree, members=members, equal=equal, causes=dict(sorted(causes.items())))


def inputs_at_hand(first: Source, second: Source) -> str:
    """Say which inputs the causes could be looked up in."""
    if first.inputs is not None and second.inputs is not None:
        return "causes were looked up in the inputs of both sides; unexplained means that no input accounts for it"
    sides = [name for name, one in (("A", first), ("B", second)) if one.inputs is None]
    return (
        f"the inputs of {' and '.join(sides)} are not at hand, so no cause could be looked up in them; "
        "unexplained means that more than one input differs, or none"
    )


def _by_digest(path: str, recorded: str | None, replayed: str | None) -> MemberDifference:
    state = "added" if recorded is None else "removed" if replayed is None else "changed"
    state = "equal" if recorded == replayed else state
    entries: tuple[Entry, ...] = ()
    if state != "equal":
        cause = difference.Cause(difference.UNEXPLAINED, NOT_KEPT)
        entries = (difference.entry("", difference.METADATA, path, cause),)
    return MemberDifference(path=path, state=state, recorded_digest=recorded, replayed_digest=replayed, entries=entries)
