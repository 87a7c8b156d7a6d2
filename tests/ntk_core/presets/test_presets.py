"""The paper's figures as specs: complete, the paper's settings, and refused in a sentence where a file is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ntk_core import presets
from ntk_core.experiments import circle, components, function_space

FOLDER = Path(presets.__file__).parent


def altered(name: str = "figure1", **changes) -> bytes:
    fields = json.loads((FOLDER / f"{name}.json").read_bytes()) | changes
    return json.dumps({key: value for key, value in fields.items() if value is not None}).encode()


def test_they_are_the_papers_settings():
    """Figures 1 to 3: captions and section 6."""
    one, two, three = (preset.spec for preset in presets.load())
    for spec in (one, two, three):
        assert (spec.activation, spec.beta, spec.learning_rate) == ("relu", 0.1, 1.0)
        assert spec.rule == "gradient_descent"
    assert isinstance(one, circle.Spec)
    assert (one.depth, one.widths, one.seeds, one.time) == (4, (500, 10_000), 10, 200)
    assert (one.data, one.n_train) == ("gaussian", 100)
    assert isinstance(two, function_space.Spec)
    assert (two.depth, two.widths, two.seeds, two.time) == (4, (50, 1_000), 10, 1_000)
    assert two.points == "paper"
    assert isinstance(three, components.Spec)
    assert (three.depth, three.widths, three.time) == (5, (100, 1_000, 10_000), 2_000)
    assert (three.data, three.n_train, three.component, three.scale) == ("digits", 512, 2, 0.5)
    assert three.components_of == "network"
    assert three.digits == tuple(range(10))


@pytest.mark.parametrize("preset", presets.load(), ids=lambda preset: preset.name)
def test_each_has_its_words_and_can_be_got(preset):
    assert presets.get(preset.name) is preset
    assert all(getattr(preset, text).strip() for text in ("figure", "title", "text", "differs"))


def test_no_default_moves_them():
    fields = json.loads(altered())["spec"]
    del fields["snapshots"]
    with pytest.raises(ValueError, match=r"^f.json: its spec leaves snapshots to a default that may change"):
        presets.parse("f", altered(spec=fields))


def test_what_is_wrong_is_named():
    spec = json.loads(altered())["spec"]
    with pytest.raises(ValueError, match=r"^preset: 'figure9' is not known; choose one of figure1, figure2, figure3"):
        presets.get("figure9")
    with pytest.raises(ValueError, match=r"^f.json: differs: missing, or too much"):
        presets.parse("f", altered(differs=None))
    with pytest.raises(ValueError, match=r"^f.json: page: missing, or too much"):
        presets.parse("f", altered(page="circle"))
    with pytest.raises(ValueError, match=r"^f.json: depth: input should be less than or equal to 32, got 99"):
        presets.parse("f", altered(spec=spec | {"depth": 99}))
    with pytest.raises(ValueError, match=r"^f.json: experiment: 'none' is not known"):
        presets.parse("f", altered(spec=spec | {"experiment": "none"}))


def test_they_are_read_without_torch():
    code = "import sys; from ntk_core import presets; presets.load(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
