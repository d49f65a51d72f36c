"""One run of the appliance: checks, replay, result, receipt and report, in that order, whatever happens on the way."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from kit import layout
from kit import result as results
from kit.bytes import canonical, digest
from kit.errors import EvidenceMissing, InternalError, NoSpace, ReplayDiffers, StellaError
from kit.journal import FINISHED
from kit.manifest import Manifest
from kit.result import Check, EngineEntry, Result
from kit.snapshot import SnapshotReader
from verifier import evidence, locker_notes, replay, site_time, stopping
from verifier.checks import Examination
from verifier.facts import Facts, Request
from verifier.report_rows import text_of
from verifier.run_dir import Clock, RunDirectory, stamp
from verifier.site import AcceptedKit, Site
from verifier.site_time import TimeFloor
from verifier.steps import Steps

if TYPE_CHECKING:
    from scanner.difference import Difference
    from scanner.evaluate import EvaluationInput
    from verifier import whatif

VERIFY = "verify"
IMPORT = "import"
STRICT = "strict"
WHAT_IF = "what-if"

SENTENCES = {
    results.VERIFIED: "Every check held, and the replay gave the recorded bytes.",
    results.INTACT: "Every signature and byte holds; the scan was not replayed.",
    results.WHAT_IF: "The what-if replay was made; these outputs belong to no recorded scan.",
}
KEPT = (layout.OUTPUT_MEMBERS["findings"], layout.OUTPUT_MEMBERS["verdict"])
"""Replayed outputs that a run keeps even where they are the recorded ones: people want to read them."""
ALONE = " The scan's kit was not looked at (--scan-only)."
NEXT_STEPS = {
    results.VERIFIED: "stella receipt RUN_DIR, then stella sync export --out FILE",
    results.INTACT: "stella replay MANIFEST --strict --offline",
    results.WHAT_IF: "Read diff.json or report.html in RUN_DIR",
}
"""What to do after a run; the words in capitals are places, which no result names. The command line fills them in."""


class Plan(msgspec.Struct, frozen=True):
    """What a run is to do: ``mode`` is verify, strict, what-if or import; the rest belongs to what-if."""

    mode: str
    dimension: str | None = None
    with_path: Path | None = None

    @property
    def name(self) -> str:
        """Return the mode as results name it."""
        return f"{self.mode}:{self.dimension}" if self.dimension else self.mode


class Conduct(msgspec.Struct, frozen=True):
    """How a run makes its checks, and how the site accepts a kit that passed them, under its lock.

    An import has its own (``verifier.intake``); any other run checks a kit where it lies, and changes the site's state.
    """

    examine: Callable[[Request, Site, Steps, Facts], None] = lambda *given: Examination(*given).intact()
    accept: Callable[[Site, Facts, dict[str, object]], None] = lambda site, _, changes: site.update(**changes)


ORDINARY = Conduct()


class _Findings(msgspec.Struct):
    """What the replay of a run has found."""

    verdict: str = results.REFUSED
    error: StellaError | None = None
    outputs: tuple[results.OutputEntry, ...] = ()
    difference: "Difference | None" = None
    replayed: Mapping[str, bytes] = msgspec.field(default_factory=dict)
    variation: "whatif.Variation | None" = None
    counters: dict[str, int] = msgspec.field(default_factory=dict)


class Run:
    """One run in its directory; :meth:`execute` ends with a signed result unless the directory cannot be written."""

    def __init__(
        self,
        plan: Plan,
        request: Request,
        site: Site,
        directory: RunDirectory,
        guard: Mapping[str, object],
        clock: Clock,
        on_check: Callable[[Check], None],
        conduct: Conduct = ORDINARY,
    ) -> None:
        self._plan = plan
        self._conduct = conduct
        self._request = replace(request, reference_time=site_time.judged(request.reference_time, site.state.time_floor))
        self._site = site
        self._directory = directory
        self._guard = guard
        self._clock = clock
        self._on_check = on_check
        self._facts = Facts()
        self._other = Facts()
        self._steps = Steps(self._checked)
        self._started = stamp(clock())

    def execute(self) -> Result:
        """Make the checks and the replay, leave the evidence, and return the result."""
        self._directory.log("run-started", {"mode": self._plan.name, "site": self._site.fingerprint})
        found = _Findings()
        try:
            self._conduct.examine(self._request, self._site, self._steps, self._facts)
            self._accept()
            self._replay(found)
        except NoSpace:
            raise  # a full disk is no word on the kit
        except StellaError as error:
            found.error = error
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            MemoryError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            # A bug that hostile input found must end in a refusal on record, never in a run without a result.
            found.error = InternalError(detail=f"{type(error).__name__}: {error}"[:300])
        try:
            return self._finish(found)
        finally:
            self._facts.close()
            self._other.close()

    def _checked(self, check: Check) -> None:
        self._directory.log("check", _as_dict(check))
        self._on_check(check)

    def _sentence(self, verdict: str) -> str:
        return SENTENCES[verdict] + (ALONE if self._request.scan_only else "")

    def _checked_variation(self, check: Check) -> None:
        self._directory.log("check-of-variation", _as_dict(check))

    def _accept(self) -> None:
        """Remember the kit, the RootPack's versions and the logs' trees, so that nothing older is accepted later."""
        facts = self._facts
        with self._site.locked():
            if facts.kit is not None and facts.kit_digest is not None and self._request.overruled is None:
                self._site.check_order(facts.kit, facts.kit_digest, activating=self._request.activating)
            changes: dict[str, object] = {"time_floor": self._signed_floor()}
            if facts.pack is not None and facts.novelty != "known":
                changes["floors"] = facts.pack.floors_after(self._site.state.floors)
            if facts.kit is not None and facts.kit_digest is not None and facts.novelty != "known":
                entry = AcceptedKit(
                    kit_id=facts.kit.kit_id,
                    channel=facts.kit.channel,
                    sequence=facts.kit.sequence,
                    digest=facts.kit_digest,
                    accepted_at=self._taken_in(),
                )
                known = [kit for kit in self._site.state.accepted if kit.digest != entry.digest]
                changes["accepted"] = (*known, entry)
            if facts.acknowledged:
                told = self._site.state.acknowledged
                changes["acknowledged"] = locker_notes.remember(told, facts.acknowledged)
            if facts.trees:
                from kit.ledger import memory

                changes["logs"] = memory.remember(self._site.state.logs, facts.trees, now=self._started)
            self._conduct.accept(self._site, facts, changes)

    def _signed_floor(self) -> TimeFloor | None:
        """Return the site's floor, raised to the times of what this run found signed, or vouched for by others."""
        facts, floor = self._facts, self._site.state.time_floor
        if self._request.reference_time.source == results.AUDIT:
            return floor
        found = []
        if facts.pack is not None and facts.pack.issued is not None:
            name = f"version {facts.pack.versions.timestamp}"
            found.append(TimeFloor(time=facts.pack.issued, source=site_time.ROOTPACK, evidence=name))
        if facts.kit is not None:
            found.append(TimeFloor(time=facts.kit.created_at, source=site_time.KIT, evidence=facts.kit.kit_id))
        return site_time.vouched(site_time.raised(floor, *found), facts.times, self._site.settings.jump)

    def _taken_in(self) -> str:
        """Return when the kit was taken in: by the clock, but never before the floor."""
        floor = self._site.state.time_floor
        return self._started if floor is None else max(self._started, floor.time)

    def _replay(self, found: _Findings) -> None:
        if self._plan.mode in (VERIFY, IMPORT):
            command = "stella verify" if self._plan.mode == VERIFY else "stella offline import"
            self._steps.not_made("replay", f"not asked for ({command})")
            self._steps.not_made("comparison", f"not asked for ({command})")
            found.verdict = results.INTACT
            return
        manifest, source = self._facts.manifest, self._facts.input
        if manifest is None or source is None:
            raise EvidenceMissing(detail="the manifest and its input bundle were not verified")
        recorded = replay.evaluation_input(manifest, source, self._facts.feeds)
        varied = recorded
        with self._steps.step("replay") as proof:
            if self._plan.mode == WHAT_IF:
                varied, found.variation = self._vary(recorded, manifest)
                proof["varied"] = found.variation.dimension
                proof["signed"] = found.variation.signed
                proof["digests"] = found.variation.digests
                proof["changes"] = found.variation.changes
            comparison = replay.compare(manifest, replay.run(varied))
            proof["members"] = len(comparison.entries)
        found.outputs, found.replayed = comparison.entries, comparison.outputs
        found.counters = _counters(self._facts, varied)
        self._compare(found, comparison, manifest, (recorded, varied))

    def _compare(
        self,
        found: _Findings,
        comparison: replay.Comparison,
        manifest: Manifest,
        inputs: "tuple[EvaluationInput, EvaluationInput]",
    ) -> None:
        """Give the verdict on the replayed outputs, and the cause of each difference."""
        with self._steps.step("comparison") as proof:
            proof["members"] = len(comparison.entries)
            proof["equal"] = sum(entry.equal for entry in comparison.entries)
            if comparison.equal:
                found.verdict = results.WHAT_IF if found.variation else results.VERIFIED
            if not comparison.equal or found.variation:
                found.difference = self._explain(comparison, manifest, inputs)
                proof["causes"] = dict(found.difference.causes)
            if found.variation:
                found.verdict = results.WHAT_IF
            elif not comparison.equal:
                found.verdict = results.DIFFERS
                first = next(entry.path for entry in comparison.entries if not entry.equal)
                raise ReplayDiffers(path=first, detail=f"{proof['equal']} of {proof['members']} members equal")

    def _explain(
        self,
        comparison: replay.Comparison,
        manifest: Manifest,
        inputs: "tuple[EvaluationInput, EvaluationInput]",
    ) -> "Difference":
        from scanner.explain import explain

        output = self._facts.output
        if output is None:
            raise EvidenceMissing(detail="the output bundle was not verified")
        recorded = {
            member.path: output.read(member.path, limit=replay.MAX_DOCUMENT)
            for member in manifest.bundles.output.members
        }
        changed = _recorded_engine(manifest) != self._request.engine.digest
        return explain(recorded, comparison.outputs, inputs[0], inputs[1], engine_changed=changed)

    def _vary(self, recorded: "EvaluationInput", manifest: Manifest) -> "tuple[EvaluationInput, whatif.Variation]":
        from verifier import whatif

        dimension, path = self._plan.dimension or "", self._plan.with_path
        if dimension == whatif.TOOLS:
            return whatif.running_tools(recorded, _recorded_engine(manifest), self._request.engine.digest)
        if path is None:
            raise EvidenceMissing(detail="--with names the input to vary by")
        if not whatif.is_scan(path):
            return whatif.from_path(dimension, recorded, path)
        steps = Steps(self._checked_variation)
        request = replace(self._request, manifest=path, scan_only=False)
        try:
            Examination(request, self._site, steps, self._other).intact()
        except StellaError as error:
            error.details["of"] = "the scan given by --with, not the one to be replayed"
            raise error.then(f"About the scan of --with: {error.next_step}") from None
        if self._other.manifest is None or self._other.input is None:
            raise EvidenceMissing(path=path.name)
        other = replay.evaluation_input(self._other.manifest, self._other.input, self._other.feeds)
        return whatif.from_scan(dimension, recorded, other)

    def _finish(self, found: _Findings) -> Result:
        """Write everything that the run leaves behind; the journal's last line comes after all else."""
        error = found.error
        verdict = found.verdict if error is None or found.verdict == results.DIFFERS else results.REFUSED
        checks = self._steps.finished()
        difference = None
        if found.difference is not None:
            difference = canonical.encode_record(found.difference)
            self._directory.write(evidence.DIFFERENCE_FILE, difference)
        equal = all(entry.equal for entry in found.outputs)
        for path, data in sorted(found.replayed.items()):
            if not equal or path in KEPT:
                self._directory.write(f"{evidence.OUTPUTS}/{path}", data)
        journal_digest = self._directory.log("verdict", {"verdict": verdict, "reason": error.reason if error else "Ok"})
        result = Result(
            schema_version=results.SCHEMA_VERSION,
            run_id=self._directory.path.name,
            mode=self._plan.name,
            verdict=verdict,
            reason=error.reason if error else "Ok",
            exit_code=error.exit_code if error else 0,
            sentence=str(error) if error else self._sentence(verdict),
            next_step=error.next_step if error else NEXT_STEPS[verdict],
            started_at=self._started,
            finished_at=stamp(self._clock()),
            reference_time=self._request.reference_time,
            checks=checks,
            guard=dict(self._guard),
            verifier=EngineEntry(version=self._request.verifier_version, digest=self._request.engine.digest),
            site=self._site.fingerprint,
            outputs=found.outputs,
            policy_verdict=_policy_verdict(found.replayed),
            causes=dict(found.difference.causes) if found.difference else None,
            counters=found.counters or None,
            difference_digest=digest.of_bytes(difference) if difference else None,
            journal_digest=journal_digest,
            notes=tuple(self._facts.notes),
        )
        result = replace(result, **evidence.known(self._facts, self._site))
        evidence.leave(self._directory, self._site, result, self._facts, found.difference, found.replayed)
        stopping.settle()  # with the next line the run counts, so from here on it cannot end as interrupted
        self._directory.log(FINISHED, {"verdict": verdict, "exitCode": result.exit_code})
        return result


def _as_dict(check: Check) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(check)
    return fields


def _recorded_engine(manifest: Manifest) -> str:
    return next(tool.sha256 for tool in manifest.inputs.tools if tool.name == "stella-engine")


def _policy_verdict(outputs: Mapping[str, bytes]) -> str | None:
    """Return what the policy says of the replayed findings, where there are any."""
    data = outputs.get(layout.OUTPUT_MEMBERS["verdict"])
    return text_of(evidence.as_json(data), "verdict") if data is not None else None


def _counters(facts: Facts, inputs: "EvaluationInput") -> dict[str, int]:
    """Return the counters that tell how much of the kit the replay touched."""
    counters = {"bundleBytesDecoded": facts.input.bytes_decompressed if facts.input else 0}
    readers = [feed for feed in inputs.feeds if isinstance(feed, SnapshotReader)]
    counters["pagesTouched"] = sum(reader.counters.pages_touched for reader in readers)
    counters["pageBytesDecoded"] = sum(reader.counters.bytes_decompressed for reader in readers)
    return counters
