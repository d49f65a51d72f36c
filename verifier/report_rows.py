"""Rows of the auditor's page: small values made from a result whose parts may be absent or of an unforeseen kind."""

import re
from collections.abc import Iterable, Mapping

import msgspec

JsonObject = Mapping[str, object]

ABSENT = "not recorded"
_CLIP = 600
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_SHORT_DIGEST = 16
_DIGEST_KEYS = ("digest", "snapshotHash", "snapshotDigest", "sha256")
_NAME_KEYS = ("name", "path", "id")
_NOT_SHOWN = frozenset({"path", "merkleRoot", "indexRoot"})
"""Members of an input that follow from its digest."""
_KINDS = {"sbom": "SBOM", "feeds": "feed", "vex": "VEX", "rules": "policy", "tools": "tool"}

CHECK_TITLES = {
    "media": "Medium readable, names allowed",
    "rootpack": "RootPack follows from the pinned root",
    "kit-envelope": "Kit signed by enough trusted keys",
    "kit-content": "Kit list well-formed, as signed",
    "order": "Kit not older than those accepted",
    "manifest-envelope": "Manifest signed by enough trusted keys",
    "manifest-content": "Manifest well-formed and coherent",
    "volumes": "All volumes present",
    "files": "Files as signed, none missing or foreign",
    "input-bundle": "Input bundle as signed, byte for byte",
    "output-bundle": "Output bundle as signed, byte for byte",
    "merkle-roots": "Merkle roots follow from the content",
    "ledger": "Transparency-log proofs hold",
    "staleness": "Kit inside its staleness window",
    "engine-and-tools": "Engine and tools held against the record",
    "replay": "Scan evaluated again",
    "comparison": "Outputs held against the record",
}
STATE_WORDS = {"passed": "passed", "failed": "FAILED", "not-made": "NOT MADE"}


class Fact(msgspec.Struct, frozen=True):
    """A label and its value; ``code`` asks for fixed-width type, ``absent`` says that the run recorded no value."""

    label: str
    value: str
    code: bool = False
    absent: bool = False
    tone: str = ""


class Entry(msgspec.Struct, frozen=True):
    """A named thing with a state word, and what belongs to it."""

    name: str
    state: str = ""
    detail: str = ""
    digest: str = ""
    notes: tuple[str, ...] = ()


class InputRow(msgspec.Struct, frozen=True):
    """One input by digest, with the section that it belongs to."""

    kind: str
    name: str
    digest: str
    notes: tuple[str, ...] = ()


class CheckRow(msgspec.Struct, frozen=True):
    """One check: ``state`` is passed, failed or not-made; the evidence is label and value."""

    number: str
    name: str
    title: str
    state: str
    word: str
    reason: str
    detail: str
    evidence: tuple[Fact, ...]


class JournalRow(msgspec.Struct, frozen=True):
    """One line of the journal."""

    number: str
    time: str
    event: str
    subject: str


def text_of(values: JsonObject, key: str) -> str | None:
    """Return a scalar member as text, ``None`` where it is absent, empty or no scalar."""
    value = values.get(key)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (str, int)) and value != "":
        return clipped(str(value))
    return None


def section(values: JsonObject, key: str) -> JsonObject:
    """Return a member that is an object, an empty one where it is absent or something else."""
    value = values.get(key)
    return value if isinstance(value, Mapping) else {}


def rows_of(values: JsonObject, key: str) -> tuple[JsonObject, ...]:
    """Return the objects of a member that is an array, of one that is an object that object alone."""
    value = values.get(key)
    if isinstance(value, Mapping):
        return (value,)
    if not isinstance(value, (list, tuple)):
        return ()
    return tuple(row for row in value if isinstance(row, Mapping))


def texts_of(values: JsonObject, key: str) -> tuple[str, ...]:
    """Return the texts of a member that is an array."""
    value = values.get(key)
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, (list, tuple)) else ()


def clipped(text: str) -> str:
    """Return text that is not too long for a table cell; the documents have it in full."""
    return text if len(text) <= _CLIP else text[: _CLIP - 4] + " ..."


def words(name: str) -> str:
    """Return a member's name in words: ``rootVersion`` as ``root version``."""
    return (
        re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f" {found[1].lower()}", name).replace("-", " ").replace("_", " ")
    )


def fact(label: str, value: str | None, *, code: bool = False) -> Fact:
    """Return a fact, marked as absent where there is no value."""
    return Fact(label, value, code=code) if value else Fact(label, ABSENT, absent=True)


def joined(first: str | None, word: str, second: str | None) -> str | None:
    """Return the present ones of two parts of a fact, the second led in by a word; ``None`` where both are absent."""
    return ", ".join(part for part in (first, f"{word} {second}".strip() if second else None) if part) or None


def inline(value: object) -> str:
    """Return a value as one short line; digests are cut to their first digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{words(str(key))} {inline(value[key])}" for key in value)
    if isinstance(value, (list, tuple)):
        return ", ".join(inline(part) for part in value) or "none"
    text = clipped(str(value))
    return _DIGEST.sub(lambda found: found[0].removeprefix("sha256:")[:_SHORT_DIGEST] + "...", text)


def check_rows(result: JsonObject) -> tuple[CheckRow, ...]:
    """Return every check of a result in its order."""
    return tuple(_check_row(row) for row in rows_of(result, "checks"))


def input_rows(inputs: JsonObject) -> tuple[InputRow, ...]:
    """Return every input of a result, section by section, by the digest that names it."""
    rows = []
    for kind in (*(kind for kind in _KINDS if kind in inputs), *(kind for kind in inputs if kind not in _KINDS)):
        for row in rows_of(inputs, kind) or _scalar(inputs, kind):
            digest_key = next((key for key in _DIGEST_KEYS if text_of(row, key)), "")
            name_key = next((key for key in _NAME_KEYS if text_of(row, key)), "")
            hidden = _NOT_SHOWN | {digest_key, name_key}
            notes = tuple(f"{words(key)} {inline(row[key])}" for key in row if key not in hidden and row[key] != "")
            found = (text_of(row, digest_key) or "").removeprefix("sha256:")
            rows.append(InputRow(_KINDS.get(kind, kind), text_of(row, name_key) or kind, found, notes))
    return tuple(rows)


def guard_rows(guard: JsonObject) -> tuple[Entry, ...]:
    """Return the layers of the network guard; whatever else the guard recorded follows as plain entries."""
    rows = [
        Entry(
            name=words(text_of(layer, "name") or "layer"),
            state=_layer_state(layer),
            detail=inline(layer.get("evidence", layer.get("detail", ""))),
        )
        for layer in rows_of(guard, "layers")
    ]
    rows += [Entry(name=words(key), state=inline(guard[key])) for key in guard if key != "layers"]
    return tuple(rows)


def journal_rows(lines: Iterable[JsonObject]) -> tuple[JournalRow, ...]:
    """Return the lines of a journal with what each is about."""
    return tuple(
        JournalRow(
            number=text_of(line, "seq") or "",
            time=text_of(line, "time") or "",
            event=words(text_of(line, "event") or ""),
            subject=inline(
                {key: value for key, value in section(line, "data").items() if isinstance(value, (str, int))}
            ),
        )
        for line in lines
    )


def _layer_state(layer: JsonObject) -> str:
    held = layer.get("inForce")
    if isinstance(held, bool):
        return "in force" if held else "not in force"
    return text_of(layer, "state") or "state not recorded"


def _check_row(row: JsonObject) -> CheckRow:
    name, state = text_of(row, "name") or "unnamed", text_of(row, "state") or "not-made"
    evidence = section(row, "evidence")
    return CheckRow(
        number=text_of(row, "number") or "",
        name=name,
        title=CHECK_TITLES.get(name, ""),
        state=state if state in STATE_WORDS else "failed",
        word=STATE_WORDS.get(state, state),
        reason=text_of(row, "reason") or "",
        detail=inline(row.get("detail", "")),
        evidence=tuple(Fact(words(key), inline(evidence[key])) for key in evidence),
    )


def _scalar(inputs: JsonObject, kind: str) -> tuple[JsonObject, ...]:
    value = text_of(inputs, kind)
    if value is None:
        return ()
    return ({"digest": value},) if _DIGEST.fullmatch(value) else ({"value": value},)
