"""Fuzz one target: ``python -m tests.fuzz.run_target NAME CORPUS RUNS [libFuzzer options]``, from the root.

CORPUS is a directory that keeps inputs of new coverage; it is filled with the target's seeds. With RUNS -1 it goes on
until something is found.
"""

import sys
from pathlib import Path

import atheris

from tests.fuzz.targets import TARGETS


def main(name: str, corpus: str, runs: str, *options: str) -> None:
    """Fuzz a target with a fixed seed; a failure ends the program with the input that caused it beside the corpus."""
    (target,) = (one for one in TARGETS if one.name == name)
    place = Path(corpus)
    place.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (place / f"seed-{number}").write_bytes(seed)
    words = place.with_name(f"{place.name}.words")
    escaped = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in target.words)
    words.write_text("".join(f'"{word}"\n' for word in escaped))
    with atheris.instrument_imports(include=list(target.packages)):
        read = target.load()
    limits = ["-seed=1", "-max_len=4096", "-rss_limit_mb=1024", "-timeout=20", f"-artifact_prefix={place.parent}/"]
    atheris.Setup([sys.argv[0], f"-runs={runs}", *limits, f"-dict={words}", *options, corpus], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
