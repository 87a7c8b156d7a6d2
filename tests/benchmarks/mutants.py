"""`python -m tests.benchmarks.mutants`: breaks the numerics in many small ways, and lists the breaks no test notices.

mutmut makes every small change it knows in `ntk_core`'s numerics (`tool.mutmut` in pyproject.toml names the modules)
and runs the tests that reach each one. A seeded sample of the changes is tried. What survives is listed in MUTANTS.md
with why, taken from survivors.json: by the function, and the line as it was and as it became.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
WRITTEN = FOLDER / "MUTANTS.md"
REASONS = FOLDER / "survivors.json"
MUTMUT = Path(sys.executable).with_name("mutmut")
FIRST = (
    "ntk_core.rules.x_check_rate__mutmut_1"  # cheap to try: its run writes all mutants and learns which test is where
)
KILLED = {1, 3, 24, 36, 152, 255, -24}  # a test failed, or ran on without an end
WANTED = 0.9


@dataclass(frozen=True)
class Survivor:
    """A change that no test noticed."""

    name: str
    was: str
    became: str

    @property
    def where(self) -> str:
        """The function, dotted."""
        module, _, rest = self.name.rpartition("__mutmut_")[0].rpartition(".")
        return f"{module}.{rest.removeprefix('xǁ').removeprefix('x_').replace('ǁ', '.')}"

    @property
    def key(self) -> str:
        """What it is known by, whatever else changes in its file."""
        return f"{self.where}: {self.was} -> {self.became}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Tries a sample; 1 where too many survive."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="mutants in the sample")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--report", action="store_true", help="write MUTANTS.md from the last run")
    options = parser.parse_args(arguments)
    if not options.report:
        _mutmut("run", FIRST, "--max-children", "1")
    codes = exit_codes(ROOT / "mutants")
    chosen = sample(codes, options.count, options.seed)
    if not options.report:
        _mutmut("run", *chosen, "--max-children", str(options.processes))
        codes = exit_codes(ROOT / "mutants")
    tried = {name: codes[name] for name in chosen if codes[name] is not None}
    survivors = [changed(name) for name in tried if tried[name] not in KILLED]
    reasons = json.loads(REASONS.read_text()) if REASONS.exists() else {}
    WRITTEN.write_text(document(len(codes), options.seed, tried, survivors, reasons))
    share = 1 - len(survivors) / len(tried)
    print(f"{share:.1%} of {len(tried)} mutants killed; {WRITTEN.relative_to(ROOT)} lists the others")
    return int(share < WANTED)


def exit_codes(folder: Path) -> dict[str, int | None]:
    """Every mutant, and how the tests ended that were run on it (None: not yet)."""
    codes: dict[str, int | None] = {}
    for path in sorted(folder.rglob("*.meta")):
        codes |= json.loads(path.read_text())["exit_code_by_key"]
    return codes


def sample(names: Sequence[str] | dict[str, int | None], count: int, seed: int) -> list[str]:
    """The same mutants for the same seed, whatever was run before."""
    everything = sorted(names)
    return random.Random(seed).sample(everything, min(count, len(everything)))


def changed(name: str) -> Survivor:
    """The lines that a mutant changes."""
    diff = _mutmut("show", name).splitlines()
    was = [line[1:].strip() for line in diff if line.startswith("-") and not line.startswith("---")]
    became = [line[1:].strip() for line in diff if line.startswith("+") and not line.startswith("+++")]
    return Survivor(name, " ".join(was), " ".join(became))


def document(
    everything: int, seed: int, tried: dict[str, int | None], survivors: Sequence[Survivor], reasons: dict[str, str]
) -> str:
    """MUTANTS.md."""
    rooms = Counter(name.split(".")[1] for name in tried)
    alive = Counter(survivor.name.split(".")[1] for survivor in survivors)
    share = 1 - len(survivors) / len(tried)
    lines = [
        "# Mutants",
        "",
        "Written by `make mutants`; do not edit. A mutant is the code with one small change. The tests should notice.",
        "",
        f"Of {everything:,} mutants of the numerics, {len(tried)} were drawn (seed {seed}) and tried: **{share:.1%} "
        f"were killed** (wanted: {WANTED:.0%}).",
        "",
        "| room | tried | killed |",
        "| --- | --- | --- |",
        *(f"| `{room}` | {count} | {count - alive[room]} |" for room, count in sorted(rooms.items())),
        "",
        "## Survivors",
        "",
    ]
    for survivor in sorted(survivors, key=lambda s: s.name):
        why = reasons.get(survivor.key, "not explained yet")
        lines += [
            f"`{survivor.where}` ({'no test reaches it' if tried[survivor.name] == 33 else 'tests pass'}): {why}",
            "",
            "```diff",
            f"- {survivor.was}",
            f"+ {survivor.became}",
            "```",
            "",
        ]
    return "\n".join(lines)


def _mutmut(*arguments: str) -> str:
    """What it printed; a RuntimeError with its last words where it fails."""
    done = subprocess.run([MUTMUT, *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"mutmut {arguments[0]} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
