"""The program ``stella``: composes the command line and imports only what the named command needs.

A command is one line of ``COMMANDS``, of two words where the first alone is another command. Each module named there
exposes either

* ``command``: a function with typer annotations, the command itself; its docstring is the help;
* ``app``: a ``typer.Typer`` whose commands become those of the group; a group may be split over several modules.

A further module of a command that is no group names with ``OPTION`` the option that asks for it instead of the first.
Each may have ``EXAMPLES``, shown under the help. ``verifier.cli._runner`` says how a command ends. A module that is not
installed is not listed: the frozen program has the air-gap side only. The top of this module imports next to nothing,
so that version and overview are there at once.
"""

import sys

from kit import __version__

AIR_GAP, CONNECTED = "air gap", "connected"


class Command:
    """One word of the command line: where it is used, what it does, which modules make it.

    ``connected`` are the commands of a group, or the options of a command, that only the connected side has.
    """

    __slots__ = ("connected", "modules", "side", "summary")

    def __init__(self, side: str, summary: str, modules: tuple[str, ...], connected: tuple[str, ...] = ()) -> None:
        self.side = side
        self.summary = summary
        self.modules = modules
        self.connected = connected


COMMANDS = {
    "look": Command(AIR_GAP, "Show who signed a kit, what it holds and how big it is.", ("verifier.cli.look",)),
    "offline": Command(
        AIR_GAP,
        "Pin the trust root, import kits, show the site's state.",
        (
            "verifier.cli.offline",
            "verifier.cli.offline_import",
            "verifier.cli.offline_prune",
            "verifier.cli.offline_state",
            "verifier.cli.offline_seal",
        ),
    ),
    "replay": Command(AIR_GAP, "Verify a scan, run it again and compare every output byte.", ("verifier.cli.replay",)),
    "verify": Command(
        AIR_GAP,
        "Verify a scan's signatures and bytes.",
        ("verifier.cli.verify", "locker.cli.verify_latest"),
        ("--latest",),
    ),
    "diff": Command(AIR_GAP, "Explain the difference of two results.", ("verifier.cli.diff",)),
    "report": Command(AIR_GAP, "Write the report of a run.", ("verifier.cli.report",)),
    "receipt": Command(AIR_GAP, "Print the receipt of a run.", ("verifier.cli.receipt",)),
    "sync": Command(
        AIR_GAP,
        "Carry results back to the locker.",
        ("verifier.cli.sync", "locker.cli.sync"),
        ("import", "acknowledge"),
    ),
    "scan": Command(CONNECTED, "Scan an SBOM, and record the scan for replay.", ("builder.cli.scan",)),
    "scan sign": Command(CONNECTED, "Add a signature to a recorded scan.", ("builder.cli.scan_sign",)),
    "attest": Command(CONNECTED, "Put recorded scans into a transparency log.", ("builder.cli.attest",)),
    "witness": Command(CONNECTED, "Cosign checkpoints of logs, without a network.", ("builder.cli.witness",)),
    "timestamp": Command(
        CONNECTED, "Have an authority vouch for when a record was signed.", ("builder.cli.timestamp",)
    ),
    "policy": Command(CONNECTED, "Check a policy, and explain what it decides.", ("builder.cli.policy",)),
    "feed": Command(CONNECTED, "Keep advisory feed snapshots.", ("builder.cli.feed", "builder.cli.feed_diff")),
    "rootpack": Command(
        CONNECTED,
        "Keep keys and trust roots.",
        ("builder.cli.rootpack", "builder.cli.rootpack_change", "builder.cli.rootpack_sign"),
    ),
    "kit": Command(
        CONNECTED,
        "Plan, build, rehearse and split kits.",
        ("builder.cli.kit", "builder.cli.kit_volumes", "builder.cli.kit_delta", "builder.cli.kit_seal"),
    ),
    "retention": Command(CONNECTED, "Purge what is past its date, with proof.", ("locker.cli.retention",)),
    "evidence holds": Command(CONNECTED, "Hold evidence against every purge.", ("locker.cli.holds",)),
    "locker": Command(
        CONNECTED,
        "Run the Evidence Locker.",
        ("locker.cli.locker", "locker.cli.upkeep", "locker.cli.migrate", "locker.cli.audit"),
    ),
    "timeline": Command(CONNECTED, "Read the locker's timeline.", ("locker.cli.timeline",)),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if words == ["--version"]:
        sys.stdout.write(f"stella {__version__}\n")
        return 0
    if not words or words in (["--help"], ["-h"], ["help"]):
        sys.stdout.write(overview() + "\n")
        return 0
    if words[0] == "help":
        words = [*words[1:], "--help"]
    if words == ["exit-codes", "--help"]:
        from verifier.cli._exit_codes import table

        sys.stdout.write(table() + "\n")
        return 0
    if words[-1] == "--help" and (text := _prepared_help(words[:-1])):
        sys.stdout.write(text)
        return 0
    from verifier import stopping

    try:
        if arguments is None:
            stopping.install()
        from verifier.cli import _runner

        return _runner.run(lambda: dispatch(words), json="--json" in words)
    except KeyboardInterrupt:  # before the runner was there to tell it
        sys.stderr.write("VERDICT  Interrupted (130)  next: Run the same command again; it is safe.\n")
        return 130


def overview() -> str:
    """Return the help of the program itself: every command that is installed, without importing any."""
    lines = ["Usage: stella COMMAND [OPTIONS] ...", "       stella help COMMAND"]
    installed = {name: command for name, command in COMMANDS.items() if present(command)}
    width = max(10, *(len(name) + 2 for name in installed))
    for side in (AIR_GAP, CONNECTED):
        here = [f"  {name:<{width}}{command.summary}" for name, command in installed.items() if command.side == side]
        lines += ["", f"{side.capitalize()}:", *here] if here else []
    closing = (
        "  help exit-codes   Print what the exit codes mean.",
        "  --version         Print the version.",
        "  --help            Print this text.",
    )
    return "\n".join([*lines, "", *closing])


def dispatch(words: list[str]) -> object:
    """Import the modules of the command that the first word names, and run it on the others."""
    name, *rest = words
    if rest and f"{name} {rest[0]}" in COMMANDS:
        name, rest = f"{name} {rest[0]}", rest[1:]
    command = COMMANDS.get(name)
    modules = present(command) if command else []
    if not modules:
        from kit.errors import UsageError

        raise UsageError(detail=_unknown(name))
    if command and len(modules) < len(command.modules):
        asked = rest[:1] + [word.partition("=")[0] for word in rest if word.startswith("--")]
        if found := next((word for word in asked if word in command.connected), None):
            from kit.errors import UsageError

            raise UsageError(
                detail=f"'{name} {found}' belongs to the connected side, which is not installed here"
            ).then(f"Run stella {name} {found} at the connected site; carry the file there if it asks for one.")
    return _run(name, modules, rest)


def _prepared_help(words: list[str]) -> str | None:
    """Return the help that was made ready while freezing (``builder.freeze_prepared``); a checkout has none."""
    try:
        from prepared.help_texts import TEXTS  # type: ignore[import-not-found]
    except ModuleNotFoundError:
        return None
    text: str | None = TEXTS.get(" ".join(words))
    return text


def present(command: Command) -> list[str]:
    """Return the modules of a command that are installed."""
    return [module for module in command.modules if _is_installed(module)]


def _is_installed(module: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its room is not installed
        return False


def _unknown(name: str) -> str:
    if name in COMMANDS:
        return f"'{name}' belongs to the {COMMANDS[name].side} side, which is not installed here"
    from difflib import get_close_matches

    near = get_close_matches(name, COMMANDS, n=1)
    return f"no command '{name}'" + (f"; did you mean '{near[0]}'?" if near else "; stella --help lists them")


def _run(name: str, modules: list[str], words: list[str]) -> object:
    """Import the modules of a command and run it on the words after its name."""
    from importlib import import_module

    from kit.errors import UsageError
    from verifier.cli import _assemble  # before the modules: it tells typer to leave its optional libraries alone

    try:
        parts = [import_module(module) for module in modules]
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in {"kit", "scanner", "verifier", "builder", "locker", "templates"}:
            raise
        raise UsageError(detail=f"'{name}' needs the package {error.name}, which is not installed") from error
    return _assemble.run(name, COMMANDS[name].summary, parts, words)


if __name__ == "__main__":
    sys.exit(main())
