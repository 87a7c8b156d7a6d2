"""What the experiments on spectral bias on the circle and on digits share: times, errors beside ridge, when to stop."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ntk_core.experiments import _common as common
from ntk_core.experiments import _kernel_choice as choice
from ntk_core.runs.arrays import Labelled, labelled

if TYPE_CHECKING:
    from torch import Tensor

    from ntk_core.experiments._spectral_spec import Spec
    from ntk_core.limit.ensemble import InfiniteEnsemble

MOMENTS = 45  # of the curves against time
BEYOND = 1e4  # how long they go on after the slowest eigendirection that was asked for has been learned


def dense_times(ensemble: InfiniteEnsemble, slowest: float, end: float) -> list[float]:
    """Times of the curves, evenly on a logarithmic axis and whole steps of the ensemble's rule.

    From before anything is learned until everything is, or much longer than the eigenvalue `slowest` takes.
    """
    values = ensemble.values[ensemble.values > 0]
    if not len(values):
        return [max(end, 1.0)]
    first, unit = 0.03 / float(values[-1]), ensemble.rule.unit
    last = min(10 / float(values[0]), BEYOND / max(slowest, float(values[0])))
    times = np.geomspace(first, max(last, 2 * end, 2 * first), MOMENTS)
    if unit:
        times = unit * np.unique(np.maximum(np.rint(times / unit), 1))
    return times.tolist()


def errors_beside_ridge(
    ensemble: InfiniteEnsemble, X_test: Any, y_test: Any, times: list[float]
) -> dict[str, Labelled]:
    """Errors of the limit's mean and of ridge with penalty 1/t against time, and the best time of both."""
    from ntk_core.limit.early_stopping import errors

    found = errors(ensemble, X_test, y_test, times)
    t, mean = ("t",), "mean squared error"
    return labelled(
        t=(t, times, "training time t = steps x learning rate", "1"),
        train=(t, found.train.numpy(), f"{mean} of the limit's mean on the training points", "1"),
        test=(t, found.test.numpy(), f"{mean} of the limit's mean on the test points", "1"),
        variance=(t, found.variance.numpy(), "variance of one network around the limit's mean on the test points", "1"),
        ridge_train=(t, found.ridge_train.numpy(), f"{mean} of ridge with penalty 1/t on the training points", "1"),
        ridge_test=(t, found.ridge_test.numpy(), f"{mean} of ridge with penalty 1/t on the test points", "1"),
    ) | when_to_stop(ensemble, X_test, y_test)


def when_to_stop(ensemble: InfiniteEnsemble, X_test: Any, y_test: Any) -> dict[str, Labelled]:
    """The best time of gradient flow and of ridge with penalty 1/t, and the error there."""
    from ntk_core.limit.early_stopping import best_time

    best = [best_time(ensemble, X_test, y_test, ridge=ridge) for ridge in (False, True)]
    return labelled(
        best=(("fit",), [b.time for b in best], "time of the least test error: early stopping, ridge", "1"),
        best_error=(("fit",), [b.error for b in best], "least test error: early stopping, ridge", "1"),
    )


def under_rule(
    spec: Spec, driven: InfiniteEnsemble, limit: InfiniteEnsemble
) -> tuple[InfiniteEnsemble, dict[str, Any]]:
    """The ensemble of the kernel that is drawn under its rule, and what the page says of it.

    Args:
        spec: the spec.
        driven: the ensemble under the kernel that the spec names.
        limit: the one under the NTK, by which networks are stable or not.
    """
    largest, own = float(limit.values[-1]), float(driven.values[-1])
    rule, name = common.theory_rule(spec, own)
    facts = {"largest_eigenvalue": largest, "stable_rate": common.stable_rate(spec, largest), "rule": name}
    return driven.under(rule), facts | {
        "inverted": choice.inverted(spec, driven),
        "notes": choice.too_fast(spec, own, largest),
    }


def moments(spec: Spec) -> tuple[float, ...]:
    """The output times and infinity."""
    return (*spec.times, math.inf)


def learned(ensemble: InfiniteEnsemble, times: list[float]) -> Tensor:
    """What is learned along each eigendirection of what there is to learn, 1 - e^(-lambda t) for the flow: (T, N)."""
    return 1 - ensemble.decays(times)
