"""Small results that nothing had to be trained for."""

from __future__ import annotations

import numpy as np

from ntk_core import experiments
from ntk_core.runs.arrays import labelled
from ntk_core.runs.provenance import provenance
from ntk_core.runs.result import Increment, Result, Schema, Variable
from ntk_core.runs.spec import ExperimentSpec

CELLS = ("time", "width", "seed")


def spec_of(seed: int = 0, **fields) -> ExperimentSpec:
    return experiments.parse({"experiment": "circle", "widths": [8, 16], "seeds": 2, "seed": seed} | fields)


def schema(angles: int = 5, seed: int = 0) -> Schema:
    coords = labelled(
        time=(("time",), [0.0, 2.0, 5.0], "training time t = steps x learning rate", "1"),
        width=(("width",), [8, 16], "neurons in a hidden layer"),
        seed=(("seed",), [seed, seed + 1], "seed of the network"),
        gamma=(("gamma",), np.linspace(-np.pi, np.pi, angles), "angle γ", "rad"),
    )
    variables = {
        "kernel": Variable((*CELLS, "gamma"), "tangent kernel Θ(x₀, x)"),
        "cost": Variable(CELLS, "cost", dtype="float64"),
        "diverged": Variable(CELLS, "whether it diverged", dtype="bool"),
    }
    return Schema(coords, variables)


def finished(spec: ExperimentSpec | None = None, angles: int = 5) -> Result:
    """A whole result with NaN and infinity in it, of one moment: two of the same spec are the same."""
    spec = spec or spec_of()
    result, rng = Result(schema(angles, getattr(spec, "seed", 0))), np.random.default_rng(getattr(spec, "seed", 0))
    for index in range(3):
        for width in range(2):
            values = {
                "kernel": rng.standard_normal((2, angles)).astype(np.float32),
                "cost": [np.nan, np.inf] if index == width == 1 else rng.random(2),
                "diverged": [index == 1, False],
            }
            result.add(Increment({"time": index, "width": width}, values, 1.0))
    result.attrs = dict(provenance(spec, 12.5)) | {"created": "2026-01-01T00:00:00+00:00"}
    return result


def assert_same(left: Result, right: Result) -> None:
    """To the last bit, names, words and types included."""
    assert left.attrs == right.attrs
    assert left.schema.cells == right.schema.cells
    assert left.schema.variables == right.schema.variables
    assert left.schema.coords.keys() == right.schema.coords.keys()
    for name, coord in left.schema.coords.items():
        other = right.schema.coords[name]
        assert (coord.dims, coord.long_name, coord.units) == (other.dims, other.long_name, other.units)
        assert coord.values.dtype == other.values.dtype
        np.testing.assert_array_equal(coord.values, other.values)
    for name, values in left.values.items():
        assert values.dtype == right.values[name].dtype
        assert values.tobytes() == right.values[name].tobytes()
    np.testing.assert_array_equal(left.present, right.present)
    np.testing.assert_array_equal(left.lost, right.lost)
