"""What the README promises: its example runs, and its tables name what there is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ntk_core.activations import known_names as names

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_python_example_gives_the_numbers_beside_it(tmp_path):
    code = re.search(r"```python\n(.*?)```", README, re.S)[1]
    promised = [float(number) for number in re.findall(r"^print\(.*\)  # ([\d.e-]+)", code, re.M)]
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    found = [float(number) for number in re.findall(r"tensor\(([\d.e-]+)", run.stdout)]
    assert len(found) == len(promised) == 3
    assert found[:2] == pytest.approx(promised[:2], rel=0.1)
    assert found[2] < 1e-5  # what a kernel matrix of condition 1e9 leaves of float64


def test_every_activation_is_listed():
    listed = re.search(r"Activations: (.*?), or", README, re.S)[1]
    assert tuple(re.split(r",\s+", listed)) == names.ACTIVATIONS


@pytest.mark.parametrize("path", re.findall(r"\]\(((?!http)[^)#]+)\)", README))
def test_linked_files_exist(path):
    assert (Path(__file__).parents[1] / path).exists()


def test_every_setting_is_documented():
    from app.web import settings

    for variable in re.findall(r"^\| `(\w+)` \|", settings.__doc__, re.M):
        assert f"`{variable}`" in README
