"""What the README promises: its example runs, and its tables name what there is."""

import re
from pathlib import Path

import pytest
import torch

from ntk_core.activations import known_names as names

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_python_example_runs(capsys):
    code = re.search(r"```python\n(.*?)```", README, re.S)[1]
    torch.manual_seed(0)
    scope = {}
    exec(code.replace("10_000", "600"), scope)
    assert scope["theory"].ntk.shape == (50, 50)
    assert scope["state"].time == 200
    assert capsys.readouterr().out.count("tensor") >= 2


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
