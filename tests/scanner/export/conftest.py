"""Findings to be exported: plain ones, hostile ones, and any at all."""

from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from scanner import outputs
from scanner.export import Evaluated, Standing
from scanner.match import Evidence

DIGEST = "sha256:" + "0a" * 32
HOSTILE = (
    "=cmd|'/c calc'!A1",
    "a|b\nc\rd\te",
    "\x1b[2J\x07",
    "\u202egnp.exe",
    "<script>alert(1)</script>",
    "![x](http://a.example/x) `code` **b** [l](u)",
    "{0} [1](2)",
    '"quoted", and more',
    "\U0001f600\u2028\ufeff",
    "-1+2@SUM(A1)",
)


def finding(identifier: str = "CVE-1", purl: str = "pkg:pypi/a@1", **changes: object) -> outputs.Finding:
    members: dict[str, object] = {
        "id": identifier,
        "aliases": (),
        "component": outputs.ComponentEntry(purl=purl, ecosystem="PyPI", package="a", version="1", refs=("ref",)),
        "records": (
            outputs.RecordEntry(
                feed="pypi",
                id=identifier,
                digest=DIGEST,
                modified="2024-01-01T00:00:00Z",
                matched=(Evidence(affected=0, by="list", index=0, comparator="text", listed="1"),),
                fixed=("2",),
            ),
        ),
        "severity": outputs.SeverityEntry(
            level="high",
            score=75,
            vector="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
            feed="pypi",
            record=identifier,
        ),
        "fix_available": True,
        "decision": outputs.DecisionEntry(action="warn", by="default"),
    }
    return outputs.Finding(**(members | changes))  # type: ignore[arg-type]


def exported(
    *findings: outputs.Finding, standing: Standing | None = None, subject: str = "app", bom_link: str | None = None
) -> Evaluated:
    actions = [one.decision.action for one in findings]
    return Evaluated(
        findings=outputs.FindingsDocument(
            schema_version="1.0",
            contract="osv-match/1",
            findings=findings,
            undecidable=(),
            not_evaluated=(),
            withdrawn=(),
            unreadable=(),
        ),
        verdict=outputs.VerdictDocument(
            schema_version="1.0",
            contract="osv-match/1",
            scan=outputs.ScanEntry(
                id="3f0c8f5e-3f4e-4c6e-9d55-0c6f6f1f8a01", time="2026-01-02T03:04:05Z", subject=subject
            ),
            inputs=outputs.InputsEntry(
                sbom=DIGEST, feeds=(), vex=(), policy=outputs.NamedInput(name="p", digest=DIGEST)
            ),
            verdict="warn",
            grounds=(),
            counts={"findings": len(findings), "notEvaluated": 2, "undecidable": 0},
            actions={action: actions.count(action) for action in ("fail", "ignore", "warn")},
            severities={},
            not_evaluated={},
            expired_rules=(),
            finding_root=DIGEST,
        ),
        standing=standing or Standing("VERIFIED", verified=True),
        version="0.1.0",
        bom_link=bom_link,
    )


def vex(status: str, justification: str | None = None) -> outputs.VexEntry:
    return outputs.VexEntry(status=status, document=DIGEST, statement=3, justification=justification)


texts = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))


@st.composite
def findings(draw: st.DrawFn) -> outputs.Finding:
    """Return any finding whose texts are whatever a feed, an SBOM, a statement or a policy may hold."""
    status = draw(st.sampled_from([None, "affected", "fixed", "not_affected", "under_investigation", "unknown"]))
    by = draw(st.sampled_from(["rule", "vex", "default"]))
    level = draw(st.sampled_from(["unknown", "none", "low", "medium", "high", "critical"]))
    justification = draw(st.none() | texts | st.just("inline_mitigations_already_exist"))
    return finding(
        draw(texts),
        aliases=tuple(sorted(draw(st.sets(texts, max_size=3)))),
        component=outputs.ComponentEntry(
            purl=draw(texts),
            ecosystem="PyPI",
            package=draw(texts),
            version=draw(texts | st.just("v" * 1100)),
            refs=tuple(sorted(draw(st.sets(texts, min_size=1, max_size=2)))),
        ),
        records=tuple(
            outputs.RecordEntry(
                feed="pypi",
                id=name,
                digest=DIGEST,
                modified="x",
                matched=(),
                fixed=tuple(draw(st.lists(texts, max_size=2))),
            )
            for name in draw(st.lists(texts, min_size=1, max_size=2))
        ),
        severity=outputs.SeverityEntry(
            level=level,
            score=draw(st.none() | st.integers(0, 100)),
            vector=draw(st.none() | texts),
            feed=draw(st.none() | st.just("pypi")),
        ),
        decision=outputs.DecisionEntry(
            action=draw(st.sampled_from(["fail", "warn", "ignore"])),
            by=by,
            rule="r" if by == "rule" else None,
            reason=draw(texts) if by == "rule" else None,
        ),
        vex=None if status is None else vex(status, justification),
    )


def _unique(found: list[outputs.Finding]) -> list[outputs.Finding]:
    return list(
        {(one.component.purl, one.component.package, one.component.version, one.id): one for one in found}.values()
    )


@pytest.fixture(scope="session")
def make_finding() -> Callable[..., outputs.Finding]:
    return finding


@pytest.fixture(scope="session")
def make_exported() -> Callable[..., Evaluated]:
    return exported


@pytest.fixture(scope="session")
def make_vex() -> Callable[..., outputs.VexEntry]:
    return vex


@pytest.fixture(scope="session")
def any_exported() -> st.SearchStrategy[Evaluated]:
    standings = st.sampled_from([Standing("VERIFIED", verified=True), Standing("INTACT", verified=False, note="n")])
    return st.builds(
        lambda listed, standing, subject, link: exported(
            *_unique(listed), standing=standing, subject=subject, bom_link=link
        ),
        st.lists(findings(), max_size=4),
        standings,
        texts,
        st.sampled_from([None, "urn:cdx:f08a6ccd-4dce-4759-bd84-c626675d60a7/1"]),
    )


@pytest.fixture(scope="session")
def hostile() -> tuple[str, ...]:
    return HOSTILE
