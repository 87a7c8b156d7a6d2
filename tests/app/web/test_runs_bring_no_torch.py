"""What the web process does for a run, from the button to the last picture, without the libraries of the workers."""

import os
import subprocess
import sys

from tests.app.server_process import ROOT

SCRIPT = """
import sys
from app import charts
from ntk_core import experiments
from ntk_core.engine import Engine

SMALL = {
    "circle": {"widths": [8], "seeds": 2, "time": 4.0, "snapshots": 2, "angles": 9},
    "function_space": {"widths": [8], "seeds": 2, "time": 4.0, "snapshots": 2},
    "components": {"widths": [8], "seeds": 1, "time": 4.0, "snapshots": 2, "n_train": 32},
    "spectral": {"widths": [8], "seeds": 2, "time": 4.0, "snapshots": 2},
    "any_cost": {"widths": [8], "seeds": 2, "time": 4.0, "snapshots": 2},
    "laws": {"widths": [8, 16], "seeds": 2},
    "lazy": {"widths": [8], "seeds": 1, "time": 4.0, "snapshots": 2},
}
HEAVY = ("torch", "scipy", "pandas", "xarray")

def main():
    engine = Engine.start(workers=1, threads=1)
    for name in filter(experiments.runs, experiments.names()):
        spec = experiments.load(name).Spec(**SMALL[name])
        theory = engine.preview(spec).theory
        engine.sketch(spec)
        run = engine.submit(experiments.trained(spec))
        assert run.wait(120) == "finished", (name, run.error)
        result = run.result
        charts.load(name)
        charts.draw((charts.Entry(spec, theory, result),), charts.moments(spec, theory)[0])
        print(name, *[module for module in HEAVY if module in sys.modules], flush=True)
    engine.close()

if __name__ == "__main__":
    main()
"""


def test_a_run_of_every_page_brings_no_torch_into_the_web_process(tmp_path):
    """A first run began two seconds late while the sweeps' pieces were counted by a module that imports torch."""
    script = tmp_path / "runs.py"
    script.write_text(SCRIPT)
    surroundings = os.environ | {"NTK_STORE": "none", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=surroundings, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["any_cost"], ["circle"], ["components"], ["function_space"], ["laws"], ["lazy"], ["spectral"],
    ]  # fmt: skip
