"""What a run of the checks is asked, and what it has established so far."""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from kit import kitfile
from kit import manifest as manifests
from kit.bundle import BundleReader
from kit.result import ActivationEntry, ReferenceTime
from kit.snapshot import SnapshotReader
from kit.trust import dsse, rootpack
from kit.trust.evidence import Existence
from kit.trust.keys import PublicKey
from scanner.engine import EngineIdentity

if TYPE_CHECKING:
    from kit.ledger.memory import Seen


class Request(msgspec.Struct, frozen=True):
    """What is to be checked: a manifest on a medium, at a reference time, by a running engine.

    ``ledger``: proof that a log has the scan's envelope is demanded. ``activating``: the kit is to become the active
    one of its channel, and ``overruled`` is the operator's reason to do so whatever the order of kits says. ``joined``:
    how many volumes an import has made the kit of, and has checked. ``unguarded``: the operator's reason to go on
    without the network guard, where it is not in force.
    """

    manifest: Path
    reference_time: ReferenceTime
    engine: EngineIdentity
    verifier_version: str
    scan_only: bool = False
    vary_tools: bool = False
    ledger: bool = False
    activating: bool = False
    overruled: str | None = None
    joined: int = 0
    unguarded: str | None = None


class Facts(msgspec.Struct):
    """What the checks have established so far.

    ``taken_in`` is when this site accepted the kit before, ``issued`` when a genuine RootPack was issued, expired or
    not, ``notes`` what the result has to say aloud. ``stamps`` and ``kit_stamps`` are the time stamps of scan
    and kit, ``times`` what others vouch for.
    """

    kit: kitfile.Kit | None = None
    kit_digest: str | None = None
    manifest: manifests.Manifest | None = None
    manifest_digest: str | None = None
    pack: rootpack.TrustedPack | None = None
    signers: list[tuple[str, PublicKey]] = msgspec.field(default_factory=list)
    input: BundleReader | None = None
    output: BundleReader | None = None
    feeds: dict[str, SnapshotReader] = msgspec.field(default_factory=dict)
    novelty: str | None = None
    taken_in: str | None = None
    issued: str | None = None
    activation: ActivationEntry | None = None
    notes: list[str] = msgspec.field(default_factory=list)
    envelope: bytes = b""
    signed: dsse.Verified | None = None
    proofs: dict[str, bytes] = msgspec.field(default_factory=dict)
    trees: "list[Seen]" = msgspec.field(default_factory=list)
    lockers: dict[str, bytes] = msgspec.field(default_factory=dict)
    acknowledged: tuple[str, ...] = ()
    stamps: list[str] = msgspec.field(default_factory=list)
    kit_stamps: list[str] = msgspec.field(default_factory=list)
    times: list[Existence] = msgspec.field(default_factory=list)

    def close(self) -> None:
        """Close the bundles."""
        for reader in (self.input, self.output):
            if reader is not None:
                reader.close()
