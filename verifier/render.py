"""Plain texts for terminal, paper and telephone: status block, receipt slip, the kit's README.

All of it is printable ASCII, whatever the documents hold.
"""

from collections.abc import Iterator, Mapping, Sequence

from kit import errors
from kit.bytes import canonical, digest
from kit.receipt import check_number
from kit.receipt_slip import PREFIX
from kit.result import Receipt
from verifier import texts
from verifier.report_difference import difference_view
from verifier.report_rows import JsonObject, inline, joined, rows_of, section, text_of, texts_of

WIDTH = 80
SLIP_WIDTH = 64
_LABEL = 11
_WORD = 9
_GROUP, _GROUPS = 5, 10
"""Characters in a group of a slip, groups in a line."""
_FIRST = 5
"""How many differences the status block names."""

_BLOCK_CHECKS = {
    "media": ("media",),
    "trust": ("rootpack",),
    "kit": ("kit-envelope", "kit-content", "order", "staleness"),
    "manifest": ("manifest-envelope", "manifest-content"),
    "volumes": ("volumes",),
    "files": ("files",),
    "bundles": ("input-bundle", "output-bundle", "merkle-roots"),
    "ledger": ("ledger",),
    "engine": ("engine-and-tools",),
    "replay": ("replay", "comparison"),
}
"""Which checks stand behind a line of the status block; a check that no line names has only its place in the counts."""


def status_block(
    result: JsonObject,
    *,
    where: str | None = None,
    next_step: str | None = None,
    difference: JsonObject | None = None,
    closing: bool = True,
    is_checked: bool = True,
) -> str:
    """Return what an operator sees at the end of a run: a line a topic with its state, then verdict and next step.

    ``result`` is a result document as decoded JSON, ``where`` the run's directory as the operator would type it,
    ``next_step`` the result's with places filled in (kept on one line, to be copied), ``difference`` the run's
    diff.json as decoded JSON. Without ``closing`` verdict and next step are left to the verdict line that follows.
    Unless ``is_checked``, the document's signature was not checked, and that stands in the place of the verdict.
    """
    checks = {text_of(row, "name") or "": row for row in rows_of(result, "checks")}
    states = [text_of(row, "state") for row in checks.values()]
    counts = [states.count(wanted) for wanted in ("passed", "failed", "not-made")]
    lines: list[str] = []
    for label, known in _topics(result):
        behind = [checks[name] for name in _BLOCK_CHECKS.get(label, ()) if name in checks]
        word = _word([text_of(row, "state") or "" for row in behind])
        reason = text_of(behind[0], "detail") if word == "not made" and not counts[1] else None
        if text := known or reason or "":
            lines += row(label, text, word)
        elif word:
            lines += row(label, "", word)
    lines += row("checks", f"{counts[0]} passed, {counts[1]} failed, {counts[2]} not made")
    if where:
        # A path is copied from the screen, so it stays on one line however long it is.
        lines.append(f"{'log':<{_LABEL}}{texts.printable(where)}")
    verdict = f"{text_of(result, 'verdict') or 'REFUSED'} ({text_of(result, 'exitCode') or '1'})"
    lines += [""]
    if not is_checked:
        lines += row("VERDICT", texts.NOT_CHECKED)
        lines += row("because", texts.not_checked(verdict))
        return _finished([*lines, *row("next", texts.CHECK_IT)])
    if closing:
        lines += row("VERDICT", joined(verdict, "reason", text_of(result, "reason")) or verdict)
    for note in texts_of(result, "notes"):
        lines += row("NOTE", inline(note))
    if policy := text_of(result, "policyVerdict"):
        lines += row("policy", f"{policy}: what the policy says of the findings, not of the replay")
    if said := text_of(result, "sentence"):
        lines += row("because", inline(said))
    lines += _causes(difference)
    if not closing:
        return _finished(lines)
    if next_step:
        lines.append(f"{'next':<{_LABEL}}{texts.printable(next_step)}")
    elif said := text_of(result, "nextStep"):
        lines += row("next", inline(said))
    return _finished(lines)


def _causes(difference: JsonObject | None) -> list[str]:
    """Return the counts of the causes of a difference, and its first entries that do not just follow from others."""
    tree = difference_view(difference)
    if tree is None or tree.is_equal:
        return []
    lines = [line for one in tree.causes for line in row("causes", f"{one.count} {one.words} ({one.cause})")]
    lines = [line if not number else " " * _LABEL + line[_LABEL:] for number, line in enumerate(lines)]
    entries = [entry for member in tree.told for entry in member.entries if entry.kind != "metadata"]
    for number, entry in enumerate(entries[:_FIRST]):
        said = f"{entry.sign} {entry.subject}" + (f" in {entry.place}" if entry.place else "")
        change = f" ({entry.before or 'nothing'} -> {entry.after or 'nothing'})" if entry.is_short else ""
        lines += row("" if number else "first", f"{said}{change}: {entry.cause_words}")
    if len(entries) > _FIRST:
        lines += row("", f"and {len(entries) - _FIRST} more, in diff.json and report.html")
    return lines


def receipt_facts(receipt: Receipt) -> list[tuple[str, str]]:
    """Return what a receipt says beside its verdict, as people compare it: label and text; digests shortened."""
    sequence = str(receipt.sequence) if receipt.sequence is not None else None
    judged = receipt.reference_time
    return [
        ("run", receipt.run_id),
        ("mode", receipt.mode),
        ("finished", receipt.finished_at),
        ("judged at", f"{judged.time}, {judged.source}" if judged else "not recorded"),
        ("kit", receipt.kit_id or "not established"),
        ("sequence", sequence or "not established"),
        ("scan", receipt.scan_id or "not established"),
        ("manifest", texts.grouped(receipt.manifest_digest, 16) if receipt.manifest_digest else "not established"),
        ("site", texts.grouped(receipt.site, 16)),
        ("previous", texts.grouped(receipt.previous, 16) if receipt.previous else "none, this is the site's first"),
        *([("holds", f"{texts.grouped(receipt.holds, 16)}, whole")] if receipt.holds else []),
    ]


def receipt_digests(receipt: Receipt) -> list[tuple[str, str]]:
    """Return the digests of a receipt in full, in groups; those that it has not are left out."""
    digests = [
        ("manifest", receipt.manifest_digest),
        ("site", receipt.site),
        ("result", receipt.result_digest),
        ("previous", receipt.previous),
        ("holds", receipt.holds),
        ("receipt", _digest_of(receipt)),
    ]
    return [(label, texts.grouped(value)) for label, value in digests if value]


def receipt_text(receipt: Receipt, *, is_checked: bool = True, slip: str | None = None) -> str:
    """Return the receipt, 64 columns wide: to be printed, copied by hand, or read over the telephone.

    Unless ``is_checked``, its signature was not checked, and that stands in the place of the verdict. ``slip`` is its
    signed form in letters (:mod:`kit.receipt_slip`), to be added at the end.
    """
    return texts.render(
        "receipt.txt.j2",
        verdict=receipt.verdict if is_checked else f"{texts.NOT_CHECKED}, says {receipt.verdict}",
        exit_code=receipt.exit_code,
        reason=receipt.reason,
        number=check_number(_digest_of(receipt)),
        facts=[line for label, value in receipt_facts(receipt) for line in _slip_row(label, value)],
        digests=[line for label, value in receipt_digests(receipt) for line in _slip_row(label, value)],
        next_step=_slip_row("next", receipt_next_step(receipt) if is_checked else texts.CHECK_IT),
        slip=slip_lines(slip) if slip else [],
    )


def slip_lines(slip: str) -> list[str]:
    """Return a slip in lines of at most 60 characters, groups of five after its first letters."""
    body = slip.removeprefix(PREFIX)
    groups = [body[at : at + _GROUP] for at in range(0, len(body), _GROUP)]
    lines = [" ".join(groups[at : at + _GROUPS]) for at in range(0, len(groups), _GROUPS)]
    return [PREFIX, *lines]


def receipt_next_step(receipt: Receipt) -> str:
    """Return what its bearer has to do: the next step of the reason code, as the error of that name has it."""
    cause = getattr(errors, receipt.reason, None)
    if isinstance(cause, type) and issubclass(cause, errors.StellaError):
        return cause.next_step
    return "Hand this slip back." if receipt.verdict != "REFUSED" else "Hand this slip back and keep the run directory."


def _digest_of(receipt: Receipt) -> str:
    return digest.of_bytes(canonical.encode_record(receipt))


def kit_readme(
    *,
    channel: str,
    sequence: int,
    created_at: str,
    producer: str,
    scans: Sequence[tuple[str, str]],
    root: str,
    signers: Sequence[tuple[str, str]],
    programs: Sequence[str] = (),
) -> str:
    """Return README.txt of a kit, without the kit's id: that is derived from the kit's files, this one among them.

    ``scans`` are id and subject, ``signers`` owner and fingerprint, ``programs`` paths of verifiers below the kit.
    """
    return texts.render(
        "kit_readme.txt.j2",
        channel=channel,
        sequence=sequence,
        created_at=created_at,
        producer=wrapped(f"by {producer}.", ""),
        scans=[(scan_id, wrapped(subject, " " * 4)) for scan_id, subject in scans],
        root=_fingerprint(root),
        signers=[(wrapped(f"{owner}:", "  Signer ", " " * 4), _fingerprint(value)) for owner, value in signers],
        programs=programs,
        first_scan=scans[0][0] if scans else "SCAN-ID",
    )


def _topics(result: JsonObject) -> Iterator[tuple[str, str | None]]:
    """Yield the label and the text of each line of the status block; no text where the run did not get so far."""
    scan, kit, pack = section(result, "scan"), section(result, "kit"), section(result, "rootPack")
    checks = {text_of(row, "name"): section(row, "evidence") for row in rows_of(result, "checks")}
    yield "scan", joined(text_of(scan, "id"), "", text_of(scan, "time"))
    yield "subject", text_of(scan, "subject")
    yield "media", _counted(checks, ("media", "files"))
    version = text_of(pack, "rootVersion")
    yield "trust", joined(f"RootPack {version}" if version else None, "expires", text_of(pack, "expires"))
    pinned = text_of(pack, "pinned")
    yield "root", f"pinned {texts.grouped(pinned, 16)}" if pinned else None
    yield "kit", joined(text_of(kit, "id"), "sequence", text_of(kit, "sequence"))
    manifest = text_of(result, "manifestDigest")
    owners = sorted({text_of(row, "owner") or "unnamed" for row in rows_of(result, "signers")})
    short = f"fingerprint {texts.grouped(manifest, 16)}" if manifest else None
    yield "manifest", joined(short, "signed by", ", ".join(owners) or None)
    yield "volumes", None
    yield "files", _files(checks)
    yield "bundles", _counted(checks, ("input-bundle", "members"), ("output-bundle", "members"))
    yield "ledger", _ledger(checks)
    yield "engine", text_of(section(result, "engine"), "version")
    outputs = [f"{text_of(row, 'path')} {_equality(row)}" for row in rows_of(result, "outputs") if not row.get("equal")]
    equal = len(rows_of(result, "outputs")) - len(outputs)
    yield "replay", "; ".join([f"{equal} outputs equal", *outputs]) if equal or outputs else None
    changes = section(checks.get("replay", {}), "changes")
    yield "varied", "; ".join(f"{name} {text_of(changes, name)}" for name in sorted(changes)) or None
    layers = rows_of(section(result, "guard"), "layers")
    yield "guard", ", ".join(text_of(row, "name") or "" for row in layers if row.get("inForce") is True) or None
    time = section(result, "referenceTime")
    yield "time", joined(text_of(time, "time"), "", text_of(time, "source"))


def _ledger(checks: Mapping[str | None, JsonObject]) -> str | None:
    """Return what each log says of the envelope, and how that stands to what the site remembers of the log."""
    proofs = rows_of(checks.get("ledger", {}), "proofs")
    said = [
        f"{text_of(row, 'log')}: entry {text_of(row, 'index')} of {text_of(row, 'size')}, {text_of(row, 'memory')}"
        for row in proofs
    ]
    return "; ".join(said) or None


def _counted(checks: Mapping[str | None, JsonObject], *places: tuple[str, str]) -> str | None:
    """Return counts from the evidence of checks, each with its noun; ``None`` unless all are there."""
    counts = [text_of(checks.get(name, {}), key) for name, key in places]
    if None in counts:
        return None
    return " and ".join(f"{count}" for count in counts) + f" {places[0][1]}"


def _files(checks: Mapping[str | None, JsonObject]) -> str | None:
    """Return how many files there are, and of how many of them nothing but the size was looked at."""
    others = text_of(checks.get("files", {}), "otherScansNotHashed")
    counted = _counted(checks, ("files", "files"))
    if counted is None or others is None:
        return counted
    return f"{counted}; {others} of them belong to other scans and were NOT hashed in this run, only sized"


def _equality(row: Mapping[str, object]) -> str:
    if "recorded" not in row:
        return "not recorded"
    return "DIFFERS" if "replayed" in row else "not produced"


def _word(states: Sequence[str]) -> str:
    """Return one word for the checks behind a line, ok only where each of them was made and passed."""
    if "failed" in states:
        return "FAILED"
    if "passed" in states:
        return "partly" if "not-made" in states else "ok"
    return "not made" if states else ""


def row(label: str, text: str, word: str = "") -> list[str]:
    """Return a labelled text in lines of at most 80 columns; ``word`` stands at the end of the first."""
    lines = wrapped(text, f"{label:<{_LABEL}}", " " * _LABEL, width=WIDTH - _WORD if word else WIDTH)
    if word:
        lines[0] = f"{lines[0]:<{WIDTH - _WORD}} {word}"
    return lines


def wrapped(text: str, first: str, rest: str | None = None, *, width: int = WIDTH) -> list[str]:
    """Return text in lines of at most ``width``, led in by ``first`` and then by ``rest``, else again by ``first``."""
    follow = first if rest is None else rest
    lines, line, empty = [], first, True
    for word in texts.printable(text).split(" "):
        room = width - len(line) - (not empty)
        if len(word) > room and not empty:
            lines.append(line)
            line, empty = follow, True
        while len(word) > (room := width - len(line) - (not empty)):
            lines.append(line + word[:room])
            line, word = follow, word[room:]  # noqa: PLW2901 - what is left of a word that no line can hold
        line = line + word if empty else f"{line} {word}"
        empty = False
    return [*lines, line]


def _slip_row(label: str, value: str) -> list[str]:
    return wrapped(value, f"{label:<{_LABEL}}", " " * _LABEL, width=SLIP_WIDTH)


def _fingerprint(value: str) -> list[str]:
    return wrapped(texts.grouped(value), "    ", width=4 + 40)


def _finished(lines: Sequence[str]) -> str:
    return "\n".join(line.rstrip() for line in lines) + "\n"
