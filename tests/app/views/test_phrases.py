"""Sentences under the charts: what is said of a kernel's matrix is what NumPy says of it."""

from __future__ import annotations

import numpy as np
import pytest

from app.views import phrases
from ntk_core import Architecture, data, experiments, limiting_kernels


def facts(name, **fields):
    experiment = experiments.load(name)
    spec = experiment.Spec(experiment=name, **fields)
    return phrases.facts(spec, experiment.plan(spec), experiment.theory(spec).info.get("inverted"))


@pytest.mark.parametrize("name", ["function_space", "spectral"])
def test_the_condition_number_is_told_where_the_kernel_is_inverted(name):
    words = facts(name, n_train=16, **({"points": "even"} if name == "function_space" else {}))
    K = limiting_kernels(Architecture(4, 1, "relu", 0.1, 2), data.circle(data.even_angles(16))).ntk.numpy() / 16
    values, number = np.linalg.eigvalsh(K), np.linalg.cond(K)
    told = f"NTK on 16 points: eigenvalues over N {values[0]:.2g} to {values[-1]:.2g}, condition number "
    assert words.endswith(f"{told}{float(f'{number:.2g}'):,g}")


def test_a_singular_matrix_says_how_much_is_never_learned():
    words = facts("function_space", points="even", n_train=16, activation="identity", beta=0.0)
    assert words.endswith("NTK on 16 points: singular, 14 directions of the targets never learned")
    assert (
        facts("spectral", kernel="rbf", length=0.5, n_train=16)
        .split(" · ")[-1]
        .startswith("RBF on 16 points: eigenvalues")
    )


def test_other_pages_tell_what_they_told():
    assert "points" not in facts("circle")
    assert facts("circle").startswith("depth 4 = weight matrices, 3 hidden layers · cost")
