"""The kinds of events on a locker's timeline (docs/locker.md, "Timeline"); a test holds page, table and code together.

A kind that stands not here is written all the same: nothing is left out of the timeline for want of a name.
"""

from dataclasses import dataclass

TYPED_EVERYWHERE = frozenset({"actor", "by", "comment", "createdBy", "note", "second"})
"""Members of details that name a person or were typed by one, whatever the kind."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: what it tells, and the members of its details that people typed."""

    tells: str
    typed: frozenset[str] = frozenset()


KINDS = {
    "audit.checkpoint.contradicted": Kind("a site was shown another tree of this audit log than the rows give"),
    "audit.restarted": Kind("the audit log was begun anew under another key, since what it had signed is lost"),
    "evidence.envelope.added": Kind("a known scan got a further envelope"),
    "evidence.ingested": Kind("a scan was verified and is kept whole"),
    "evidence.proofs.added": Kind("a scan got further files of evidence"),
    "evidence.quarantined": Kind("what cannot be told by its scan id was refused and lies in the quarantine"),
    "evidence.refused": Kind("a scan was refused, with the reason code"),
    "locker.drill.held": Kind("a drill was held"),
    "locker.instructions.checked": Kind("the kit instructions were checked against this version"),
    "locker.worm.checked": Kind("a canary was put under the stores' locks, and what they did"),
    "replay.hold.created": Kind("a legal hold was laid on evidence", frozenset({"reason"})),
    "replay.hold.extended": Kind("a hold took in evidence that came after it"),
    "replay.hold.released": Kind("a legal hold was released", frozenset({"reason"})),
    "replay.night.finished": Kind("a nightly verification judged all that it chose"),
    "replay.result.conflict": Kind("a site's results contradict one another"),
    "replay.result.imported": Kind("a result of a site was kept"),
    "replay.retention.finished": Kind("a retention run ended, and did all that was due"),
    "replay.retention.stopped": Kind("a retention run ended, and something stopped it for a tenant"),
    "replay.run.failed": Kind("a scan that was whole is not any more, with the reason code"),
    "replay.run.mended": Kind("a scan that had failed is whole again"),
    "replay.run.replayed": Kind("a site's strict replay gave the recorded bytes"),
    "retention.brake.released": Kind("somebody let a run go on past a brake"),
    "retention.declared": Kind("evidence got a promise of how long it is kept"),
    "retention.deleting": Kind("a bundle is about to be removed; told before it is"),
    "retention.demoted": Kind("a bundle is in the cold store alone"),
    "retention.demoting": Kind("a cold copy was verified, and the hot one is about to be removed"),
    "retention.demotion.stopped": Kind("a bundle stays in the hot store after all"),
    "retention.lengthened": Kind("a promise became longer"),
    "retention.marked": Kind("a bundle is past its date, and its days of grace begin"),
    "retention.purged": Kind("a bundle was removed; its certificate is kept"),
    "retention.rescued": Kind("a bundle that was to be removed is kept after all"),
    "retention.revived": Kind("bytes that had been removed came again"),
    "retention.shortened": Kind("promises became shorter, for a reason and with a second person"),
    "retention.unmarked": Kind("a mark was taken back"),
    "rootpack.accepted": Kind("a newer RootPack is in force"),
}

_TYPED_BELOW = {"replay.hold.": frozenset({"reason"}), "retention.": frozenset({"reason"})}


def is_typed(kind: str, member: str) -> bool:
    """Tell whether a member of an event's details is a person's name or words."""
    if member in TYPED_EVERYWHERE or (kind in KINDS and member in KINDS[kind].typed):
        return True
    return any(kind.startswith(beginning) and member in members for beginning, members in _TYPED_BELOW.items())
