"""Call graphs and traces of both sides, and every mixture of them (docs/matching.md section 9.3)."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from scanner import difference
from scanner.difference import Change
from scanner.reachability import Evidence, Joined, Source

_KEPT = 256
Held = Mapping[str, tuple[Source, Evidence]]
"""Sources by URI, each read by itself."""


def read_apart(given: Iterable[Source], time: str, known: Held) -> Held:
    """Read each source by itself; those that are ``known`` are not read again. Raises the errors of reading."""
    found: dict[str, tuple[Source, Evidence]] = {}
    for source in given:
        uri = source[0].cas_uri
        held = known.get(uri)
        found[uri] = held if held and held[0] == source else (source, Evidence([source], time))
    return found


class EvidenceChanges:
    """What differs between the evidence of two sides; ``changes`` are by id, those of one URI together."""

    def __init__(self, recorded: Held, replayed: Held) -> None:
        self._sides = recorded, replayed
        self._uris = {
            change_id(uri): uri
            for uri in sorted(recorded.keys() | replayed.keys())
            if _source(recorded, uri) != _source(replayed, uri)
        }
        self.changes = {name: self._change(name, uri) for name, uri in self._uris.items()}
        self.undone = lru_cache(maxsize=_KEPT)(self._undone)

    def missing(self) -> list[Change]:
        """Return the changes of sources that are named and not there on one side."""
        return [
            self.changes[name]
            for name, uri in self._uris.items()
            if len({uri in side and side[uri][1].missing > 0 for side in self._sides}) > 1
        ]

    def _undone(self, undone: frozenset[str]) -> Joined:
        """Return the replayed evidence with some changes undone."""
        old, new = self._sides
        back = {self._uris[name] for name in undone}
        chosen = ((old if uri in back else new).get(uri) for uri in sorted(old.keys() | new.keys()))
        return Joined(one[1] for one in chosen if one is not None)

    def _change(self, name: str, uri: str) -> Change:
        old, new = (side.get(uri) for side in self._sides)
        if old is None or new is None:
            said = "added" if old is None else "removed"
        elif old[1].missing != new[1].missing:
            said = "not there any more" if new[1].missing else "there now"
        else:
            said = "declared otherwise"
        return Change(id=name, cause=difference.REACHABILITY_EVIDENCE, detail=f"{uri} {said}")


def change_id(uri: str) -> str:
    """Return the id of the change of a source."""
    return f"reachability/{uri.rpartition('reachability/')[2]}"


def _source(side: Held, uri: str) -> Source | None:
    return side[uri][0] if uri in side else None
