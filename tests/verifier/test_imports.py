"""Which modules a command loads: counted, where a clock would tell more of the machine than of the program."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.world import NOW, ROOT, World
from verifier.run_dir import stamp

CASES = tomllib.loads((Path(__file__).parent / "data" / "not-imported.toml").read_text())
OURS = ("kit", "prepared", "scanner", "stella", "templates", "verifier")
PROGRAM = """
import sys
import stella

code = stella.main(sys.argv[1:])
loaded = [name for name, module in sys.modules.items() if module is not None]
sys.stdout.write("\\nLOADED " + " ".join(loaded))
sys.exit(code)
"""


@pytest.mark.parametrize("name", CASES)
def test_command_loads_only_what_it_needs(world: World, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    words = [str(world.kit) if word == "KIT" else word for word in case["words"]]
    if "KIT" in case["words"]:
        world.new_site(tmp_path / "site")
        words += ["--site", str(tmp_path / "site"), "--ops", str(tmp_path / "ops"), "--at", stamp(NOW)]
    # Without site-packages' start-up files, which load what they like.
    paths = [str(ROOT), *(path for path in sys.path if path.endswith("-packages"))]
    begun = f"import sys; sys.path[:0] = {paths!r}\n{PROGRAM}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", begun, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.rpartition("LOADED ")[2].split())
    assert sorted(one for one in loaded if any(f"{one}.".startswith(f"{each}.") for each in case["never"])) == []
    ours = sorted(one for one in loaded if one.partition(".")[0] in OURS)
    assert len(ours) <= case["at-most"], ours
