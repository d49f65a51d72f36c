"""Documents: canonical JSON (T11) and signed statements (T13)."""

import itertools
import json
from base64 import b64decode
from collections.abc import Callable
from functools import partial

import measure
import orjson
import rfc8785
import world

from kit import manifest as manifests
from kit.bytes import canonical
from kit.trust import dsse
from kit.trust.keys import PublicKey

ADVISORIES = 10_000


def encode() -> None:
    """T11: encoding in canonical form against orjson with sorted keys."""
    measure.heading("canonical JSON against orjson with OPT_SORT_KEYS")
    with world.feed_file("large").open("rb") as source:
        lines = [line.rstrip() for line in itertools.islice(source, ADVISORIES)]
    values = [orjson.loads(line) for line in lines]
    for value in values[::50]:
        if not canonical.encode(value) == canonical.encode_foreign(value) == rfc8785.dumps(value):
            raise SystemExit("other bytes than RFC 8785")
    size = sum(map(len, lines)) / 1e6

    def sort(value: object) -> bytes:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)

    for what, function in (("encode", canonical.encode), ("encode_foreign", canonical.encode_foreign)):
        ours, peer = measure.paired_calls(partial(each, function, values), partial(each, sort, values))
        measure.ratio("T11", f"{what}, {size:.0f} MB of advisories as dictionaries", ours, peer, 1.2)
    manifest = manifests.parse(world.manifest("large").read_bytes())
    plain = json.loads(canonical.encode_record(manifest))
    ours, peer = measure.paired_calls(lambda: canonical.encode_record(manifest), lambda: sort(plain), repeat=2000)
    measure.ratio("T11", "encode_record, a manifest", ours * 1e6, peer * 1e6, 1.2, "us")


def each(function: Callable[[object], bytes], values: list[object]) -> None:
    """Call a function on each value."""
    for value in values:
        function(value)


def envelope() -> None:
    """T13: the signature over a manifest."""
    measure.heading("signed statement")
    data = world.manifest("large").with_name("manifest.dsse.json").read_bytes()
    keyring = next((world.PLACE / "rootpack" / "targets").glob("*.keyring.json"))
    keys = [
        PublicKey.from_spki(b64decode(entry["spki"], validate=True))
        for entry in json.loads(keyring.read_bytes())["keys"]
        if entry["usage"] == "kit"
    ]

    def check() -> dsse.Verified:
        return dsse.verify(data, keys, threshold=1, payload_types=(dsse.IN_TOTO,), name="manifest.dsse.json")

    measure.absolute("T13", "envelope check", measure.call(check, repeat=500) * 1e3, 1.0, "ms")
    measure.absolute("T13", "statement", len(check().payload) / 1e3, 64, "kB")


if __name__ == "__main__":
    world.ensure()
    encode()
    envelope()
