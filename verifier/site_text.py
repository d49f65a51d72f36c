"""What an operator is told of a site and its kits: blocks of labelled lines, 80 columns wide, as a run's status block.

The same documents are one JSON object under ``--json``; a block leaves out what nobody compares by eye.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from verifier import texts
from verifier.render import row
from verifier.report_rows import JsonObject, joined, rows_of, section, text_of, texts_of

if TYPE_CHECKING:
    from verifier.prune import Copy, Pruned

_STEPS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def sized(count: int) -> str:
    """Return a number of bytes as people say it."""
    for step, unit in _STEPS:
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count} bytes"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def pruned(found: "Pruned", *, dry_run: bool) -> str:
    """Return what was removed and what stays, a line each."""
    gone = "would go" if dry_run else "removed"
    lines = [line for one in found.removed for line in row(gone, _copy(one))]
    lines += [line for one in found.kept for line in row("kept", f"{_copy(one)}: {one.why}")]
    freed = f"{sized(found.size)} in {counted(len(found.removed), 'directory').replace('directorys', 'directories')}"
    return "\n".join([*lines, *row("to free" if dry_run else "freed", freed)])


def _copy(one: "Copy") -> str:
    words = {"kit": "", "unfinished": " (on its way)", "leftover": " (left by a removal that was cut off)"}
    return f"{one.path.name}{words[one.kind]}, {sized(one.size)}"


def status(document: JsonObject) -> str:
    """Return what a site remembers and keeps, the most important first."""
    lines: list[str] = []
    for kit in rows_of(document, "activeKits"):
        lines += _active(kit)
    if not lines:
        lines += row("active", "no kit is active here: stella offline import MEDIA")
    lines += row("accepted", _accepted(rows_of(document, "acceptedKits")))
    kept = section(document, "quarantine")
    entries = text_of(kept, "entries") or "0"
    lines += row("quarantine", _quarantine(kept), "LOOK" if entries != "0" else "")
    for part in rows_of(document, "onTheirWay"):
        lines += row("on its way", f"{text_of(part, 'kit')}, {sized(_number(part, 'bytes'))} so far")
    lines += [""]
    lines += row("root", f"pinned {text_of(document, 'rootGrouped') or ''}")
    lines += row("site key", texts.grouped(text_of(document, "site") or ""))
    floors = section(document, "floors")
    if floors:
        lines += row("RootPack", ", ".join(f"{name} {text_of(floors, name)}" for name in floors))
    floor = section(document, "timeFloor")
    said = joined(text_of(floor, "time"), "from", text_of(floor, "source"))
    lines += row("time", f"judged at {text_of(document, 'judgedAt')}; not before {said or 'any time yet'}")
    if resets := rows_of(document, "floorResets"):
        lines += row("", f"the floor was set by hand {counted(len(resets), 'time')}")
    for key in rows_of(document, "revokedKeys"):
        lines += row("revoked", f"{texts.grouped(text_of(key, 'fingerprint') or '', 16)}, {text_of(key, 'state')}")
    for number, line in enumerate(texts_of(document, "lastRuns")):
        lines += row("" if number else "last runs", line)
    return "\n".join(lines)


def _active(kit: JsonObject) -> list[str]:
    state = text_of(kit, "state") or ""
    order = f"{text_of(kit, 'kit')}, no. {text_of(kit, 'sequence')} of channel {text_of(kit, 'channel')}"
    word = "ok" if state == "ok" else "warn" if not _is_refused(state) else "FAILED"
    lines = row("active", order, word)
    if state != "ok":
        lines += row("", state)
    age, window = text_of(kit, "ageHours"), text_of(kit, "windowHours")
    lines += row("", f"since {text_of(kit, 'activeSince')}" + (f", {age} of {window} hours old" if age else ""))
    lines += row("", f"at {text_of(kit, 'place')}")
    if before := text_of(kit, "previous"):
        lines += row("", f"before it {before}")
    if reason := text_of(kit, "overruled"):
        lines += row("", f"the order of kits was OVERRULED: {reason}")
    if link := text_of(kit, "link"):
        lines += row("", f"its link {link}")
    for scan in texts_of(kit, "scans"):
        lines += row("scan", scan)
    return lines


def _is_refused(state: str) -> bool:
    """Tell whether a state is a reason code with its sentence, not a warning in words."""
    word, colon, _ = state.partition(":")
    return bool(colon) and word.isalnum() and word != word.lower()


def _accepted(kits: Sequence[JsonObject]) -> str:
    highest: dict[str, int] = {}
    for kit in kits:
        channel = text_of(kit, "channel") or ""
        highest[channel] = max(highest.get(channel, 0), _number(kit, "sequence"))
    said = "; ".join(f"up to no. {number} of channel {channel}" for channel, number in sorted(highest.items()))
    return f"{counted(len(kits), 'kit')}" + (f": {said}" if said else "")


def _quarantine(kept: JsonObject) -> str:
    entries = _number(kept, "entries")
    if not entries:
        return "empty"
    said = f"{entries} refused, {sized(_number(kept, 'bytes'))}, the latest {text_of(kept, 'latest')}"
    if damaged := texts_of(kept, "unreadable"):
        said += f"; {len(damaged)} not readable"
    return said


def _number(values: Mapping[str, object], key: str) -> int:
    value = values.get(key)
    return value if isinstance(value, int) else 0


def taken_in(document: JsonObject) -> str:
    """Return what an import came to, below the lines of its last run."""
    lines: list[str] = []
    if place := text_of(document, "active"):
        lines += row("active", f"{text_of(document, 'kit')}, no. {text_of(document, 'sequence')}", "ok")
        lines += row("", f"at {place}")
    if before := text_of(document, "previous"):
        lines += row("before it", f"{before}, kept for stella offline rollback")
    if reason := text_of(document, "forced"):
        lines += row("OVERRULED", f"the order of kits, because: {reason}")
    if entry := text_of(document, "quarantined"):
        lines += row("quarantine", entry)
    return "\n".join(lines)


def looked(document: JsonObject) -> str:
    """Return what a medium claims to be, and what the pinned root bears out, apart from one another."""
    claimed, trust = section(document, "claimed"), section(document, "trust")
    kit_id, sequence, channel = (text_of(claimed, name) for name in ("kitId", "sequence", "channel"))
    lines = row("claimed", "what the kit says of itself, down to the empty line")
    lines += row("kit", f"{kit_id}, no. {sequence} of channel {channel}")
    producer, made = text_of(claimed, "producer"), text_of(claimed, "createdAt")
    lines += row("made", f"{made} by {producer}, to be used within {text_of(claimed, 'stalenessWindowHours')} hours")
    lines += row("holds", f"{text_of(claimed, 'files')} files, {sized(_number(claimed, 'bytes'))}")
    if number := text_of(claimed, "volume"):
        lines += row("volume", f"{number}, {text_of(claimed, 'pieces')} pieces of files")
    if base := text_of(claimed, "deltaOn"):
        less = f"leaves out {text_of(claimed, 'leftOut')} files, {sized(_number(claimed, 'leftOutBytes'))}"
        lines += row("delta on", f"{base}, {less}")
    for key in texts_of(claimed, "sealedFor"):
        lines += row("sealed for", texts.grouped(key, 16) + " ...")
    scans = rows_of(claimed, "scans")
    for scan in scans:
        lines += _scan(scan)
    if more := text_of(claimed, "moreScans"):
        lines += row("", f"and {more} more scans")
    lines += row("its root", text_of(claimed, "firstGroups") or "not readable")
    lines += ["", *_trusted(trust)]
    return "\n".join(lines)


def _scan(scan: JsonObject) -> list[str]:
    lines = row("scan", joined(text_of(scan, "id"), "", text_of(scan, "time")) or "")
    if elsewhere := text_of(scan, "manifest"):
        return [*lines, *row("", f"its manifest is {elsewhere}")]
    lines += row("", f"of {text_of(scan, 'subject')}, {text_of(scan, 'sbom')}")
    return lines + [line for feed in texts_of(scan, "feeds") for line in row("", f"feed {feed}")]


def _trusted(trust: JsonObject) -> list[str]:
    pack = section(trust, "rootPack")
    if text_of(trust, "pinned") != "yes":
        return row("root", "none is pinned here, so nothing of this is checked", "NOT MADE")
    signers = texts_of(trust, "signers")
    said = "; ".join(_signer(one) for one in signers) or "nobody who counts here"
    lines = row("signed by", said, "ok" if signers else "FAILED")
    if pinned := text_of(pack, "pinnedGroups"):
        lines += row("root", f"pinned {pinned}")
    if expires := text_of(pack, "expires"):
        issued, version = text_of(pack, "issued"), text_of(section(pack, "versions"), "root")
        lines += row("RootPack", f"root {version}, issued {issued}, expires {expires}")
    if because := text_of(trust, "sentence"):
        lines += row("because", because)
    return lines


def _signer(one: str) -> str:
    """Return a signer's owner and the beginning of the fingerprint, which the sheet has in full."""
    fingerprint, _, owner = one.partition(" ")
    return f"{owner.strip('()')} ({texts.grouped(fingerprint, 16)} ...)"
