"""stella policy: check a policy, and explain what it decides about findings."""

from pathlib import Path
from typing import Annotated, Any

import typer

from verifier.cli.console import Console, Verdict, one_line
from verifier.cli.options import Json
from verifier.cli.table import table

app = typer.Typer(no_args_is_help=True, help="Check a policy before it is used, and explain its decisions.")

EXAMPLES = """
Examples:

  stella policy check policy.toml

  stella policy check policy.toml --time 2027-01-01T00:00:00Z

  stella policy explain policy.toml --findings records/<scan-id> --id CVE-2021-42771 --verbose

  stella policy explain stricter.toml --findings ops/offline/replay/<scan-id>/<run-id> --json
"""

PolicyFile = Annotated[Path, typer.Argument(help="The policy, TOML.", metavar="FILE")]


@app.command()
def check(
    file: PolicyFile,
    time: Annotated[
        str | None, typer.Option("--time", help="Judge ends at this UTC time; now by default.", metavar="TIME")
    ] = None,
    json: Json = False,
) -> Verdict:
    """Say whether a policy is valid, and which rules are idle.

    A rule is idle where its end has come, or where an earlier one takes all that it could match.
    """
    from builder import policies
    from kit.manifest import check_time
    from verifier import session
    from verifier.asked import typed
    from verifier.run_dir import stamp

    console = Console(json=json)
    moment = time or stamp(session.clock())
    with typed("--time"):
        check_time(moment, "--time")
    compiled = policies.load(file, moment)
    console.document(policies.summary(compiled, moment))
    return console.verdict("VALID", 0)


@app.command()
def explain(
    file: PolicyFile,
    findings: Annotated[
        Path,
        typer.Option("--findings", help="findings.json, a run's directory, or a recorded scan's.", metavar="PLACE"),
    ],
    identifier: Annotated[
        str | None, typer.Option("--id", help="Only the findings with this id or alias.", metavar="ID")
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", help="Judge at this UTC time; the scan's own by default.", metavar="TIME")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show what was known of each finding, and what each rule said.")
    ] = False,
    json: Json = False,
) -> Verdict:
    """Say which rule decides about each finding.

    One line each. With --verbose, of each rule before it the first condition that does not hold is named.
    """
    from builder import policies
    from kit.errors import UsageError
    from kit.manifest import check_time
    from verifier.asked import typed

    console = Console(json=json)
    recorded = policies.recorded(findings)
    moment = time or recorded.time
    if moment is None:
        raise UsageError(
            detail="the time of the scan is not known: give --time, or keep verdict.json beside the findings"
        )
    with typed("--time"):
        check_time(moment, "--time")
    compiled = policies.load(file, moment)
    explained = [policies.explanation(compiled, one) for one in policies.choose(recorded.findings, identifier)]
    if json or verbose:
        console.document({"policy": compiled.digest, "time": moment, "findings": explained})
    else:
        console.data("\n".join(table(_COLUMNS, [_row(one) for one in explained])))
    return console.verdict(
        "EXPLAINED", 0, "" if json or verbose else "the same with --verbose: what each rule asked for"
    )


_COLUMNS = ("action", "id", "package", "decided by", "why")
_WIDTH_OF_REASONS = 60


def _row(explained: dict[str, Any]) -> list[str]:
    by, facts = str(explained["decidedBy"]), explained["facts"]
    told = {"default": f"no rule matched; severity {facts['severity']}", "vex": f"VEX says {facts['vexStatus']}"}
    why = str(explained["reason"]) or told.get(by, "-")
    shortened = why if len(why) <= _WIDTH_OF_REASONS else f"{why[: _WIDTH_OF_REASONS - 3]}..."
    cells = (explained["action"], explained["id"], explained["purl"], by, shortened)
    return [one_line(str(cell)) for cell in cells]
