"""The script that replays a run: run as a person would, in a process of its own, it finds the same numbers."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ntk_core import experiments
from ntk_core.runs import files, replay

ROOT = Path(__file__).parents[3]
SPECS = [
    {"experiment": "circle", "widths": [8, 40], "seeds": 3, "n_train": 6, "time": 12.0, "snapshots": 4, "angles": 9},
    {
        "experiment": "function_space", "widths": [64], "seeds": 2, "time": 60.0, "snapshots": 3, "angles": 9,
        "points": "custom", "custom": [[0.5, -0.25], [1.5, 1.0]], "activation": "erf", "method": "leaps",
    },
]  # fmt: skip


def replayed(script: str, folder: Path) -> subprocess.CompletedProcess:
    path = folder / "replay.py"
    path.write_text(script, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(path)]
    return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=True)


@pytest.mark.parametrize("fields", SPECS, ids=lambda fields: fields["experiment"])
def test_the_same_numbers(fields, tmp_path):
    spec = experiments.parse(fields)
    wanted = experiments.compute(spec)
    said = replayed(replay.script(spec), tmp_path)
    assert said.stdout.strip() == str(tmp_path / f"{spec.key}.nc")
    assert "100%" in said.stderr
    assert "other numbers" not in said.stderr
    found = files.result_from_netcdf((tmp_path / f"{spec.key}.nc").read_bytes())
    assert found.attrs["spec"] == spec.model_dump_json()
    for name, values in wanted.values.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_a_script_of_other_numbers_says_so(tmp_path, capsys):
    spec = experiments.parse(SPECS[0] | {"widths": [4], "snapshots": 2, "time": 1.0})
    path = tmp_path / "replay.py"
    path.write_text(replay.script(spec).replace(f'KEY = "{spec.key}"', 'KEY = "circle-0"'), encoding="utf-8")
    runpy.run_path(str(path))
    assert "This version of ntk_core gives other numbers" in capsys.readouterr().err


def test_texts_of_a_spec_cannot_become_code():
    """Whatever a field may hold one day."""
    spec = experiments.parse(SPECS[0]).model_copy(update={"activation": '"""\n{__import__("os")}\\'})
    names: dict = {}
    script = replay.script(spec)
    assert compile(script, "replay", "exec")
    exec(script[script.index("SPEC = ") : script.index("\nspec = ")], names)
    assert names["SPEC"]["activation"] == spec.activation
