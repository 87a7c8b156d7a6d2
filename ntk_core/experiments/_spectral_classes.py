"""Spectral bias on classes, such as digits: an output each trained by least squares, one eigendecomposition for all."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ntk_core.experiments import _common as common
from ntk_core.experiments import _kernel_choice as choice
from ntk_core.experiments import _spectral_theory as shared
from ntk_core.experiments._spectral_spec import Spec, Split, split_of
from ntk_core.runs.arrays import Labelled, labelled
from ntk_core.runs.result import Increment, Schema, Variable
from ntk_core.runs.theory import Theory

if TYPE_CHECKING:
    from torch import Tensor

    from ntk_core.limit.ensemble import InfiniteEnsemble
    from ntk_core.limit.kernel_functions import Kernel
    from ntk_core.runs.parts import Part
    from ntk_core.runs.plan import Plan

SHOWN = (2, 3, 10, 30, 100)  # components whose learning is followed; the first is nearly constant, the targets not
QUICK = 500  # points, to learn from or to be told apart, up to which the limit answers at once
MOST_UNKNOWNS = 1500  # N times the number of outputs, of the eigenproblem that a leap solves


def theory(spec: Spec) -> Theory:
    """Eigenvalues of Theta/N, accuracy and errors under the kernel against time, what is learned of components."""
    limit = _ensemble(spec)
    ensemble, info = shared.under_rule(spec, _driven(spec), limit)
    values, k = limit.values.flip(0).numpy(), np.array(components(spec))
    times = shared.dense_times(ensemble, float(ensemble.values[-k[-1]]), spec.times[-1])
    arrays = labelled(
        times=(("times",), shared.moments(spec), "training time t = steps x learning rate", "1"),
        component=(("component",), np.arange(1, len(values) + 1), "kernel principal component", "1"),
        values=(("component",), values, "eigenvalue of Theta/N", "1"),
        mode=(("mode",), k, "kernel principal component", "1"),
        rate=(("mode",), values[k - 1], "eigenvalue of the component: its rate of learning", "1"),
        learned=(("mode", "t"), _learned(spec, ensemble, times), "share learned", "1"),
    )
    if spec.kernel != "ntk":
        of = f"eigenvalue of the {choice.WORDS[spec.kernel]} kernel over N"
        arrays |= labelled(driving=(("component",), ensemble.values.flip(0).numpy(), of, "1"))
    found = _against_time(spec, ensemble, times)
    info["notes"] += _below_guessing(spec, float(found["accuracy"].values[-1]))
    return Theory(arrays | found, info)


def _below_guessing(spec: Spec, accuracy: float) -> list[str]:
    """What it means that the limit tells fewer of the test points right than one class for all of them would."""
    labels = _split(spec).labels_test
    guessed = float(np.bincount(labels).max() / len(labels))
    if accuracy >= guessed:
        return []
    return [
        f"In the end {100 * accuracy:.1f} % of the test points are told right, fewer than by naming one class for all "
        f"({100 * guessed:.1f} %): what is learned fits every point that it was given, but between these it goes where "
        f"the kernel is smooth, and these data do not. A larger β, another activation or another kernel may suit them."
    ]


def _learned(spec: Spec, ensemble: InfiniteEnsemble, times: list[float]) -> np.ndarray:
    """What the kernel that is drawn has learned of the NTK's components, whose networks' shares are beside: (K, T)."""
    import torch

    filtered = shared.learned(ensemble, times)
    if spec.kernel == "ntk":
        return filtered.T.numpy()[[-k for k in components(spec)]]
    across = torch.einsum("knc,nm->kmc", _shares(spec), ensemble.modes)  # what each of its directions adds to a share
    return torch.einsum("kmc,mc,tm->kt", across, ensemble.coefficients, filtered).numpy()


def components(spec: Spec) -> tuple[int, ...]:
    """The kernel principal components that are followed."""
    return tuple(k for k in SHOWN if k <= spec.n_labelled)


def slow(spec: Spec) -> bool:
    """Whether the limit takes more than a moment."""
    return max(spec.n_labelled, spec.n_test) > QUICK


def schema(spec: Spec) -> Schema:
    """What every network has learned of the followed components, how many points it tells right, its test error."""
    mode = (("mode",), components(spec), "kernel principal component", "1")
    return common.schema(
        spec,
        labelled(mode=mode),
        learned=Variable((*common.NETWORK, "mode"), "share of the component's targets learned"),
        accuracy=Variable(common.NETWORK, "share of the test points told right"),
        test=Variable(common.NETWORK, "mean squared error on the test points, summed over outputs"),
    )


def plan(spec: Spec) -> Plan:
    """Predicted cost of the run, step by step; refuses leaps of too many unknowns."""
    from ntk_core.runs.plan import plan_training

    trained, split = _trained(spec), _split(spec)
    outputs = len(split.classes)
    found = plan_training(trained, spec.n_labelled, 0, split.X.shape[1], outputs)
    if found.groups[0].method == "leaps" and spec.n_labelled * outputs > MOST_UNKNOWNS:
        found = replace(
            found,
            refusal=f"{spec.n_labelled:,} points with {outputs} outputs are too many for leaps, which solve an "
            f"eigenproblem of {spec.n_labelled * outputs:,} unknowns: choose gradient descent and the method steps, or "
            f"at most {MOST_UNKNOWNS // outputs} points",
        )
    return common.with_warnings(found, trained, float(_ensemble(spec).values[-1]))


def run(spec: Spec, plan: Plan, part: Part | None) -> Iterator[Increment]:
    """Trains the networks of a part and has them tell the test points apart at every output time."""
    import torch

    from ntk_core.limit.classes import accuracy, one_hot
    from ntk_core.runs.lockstep import train_together

    split, project = _split(spec), _shares(spec)
    outputs = len(split.classes)
    y, y_test = one_hot(split.labels, outputs), one_hot(split.labels_test, outputs)
    for update in train_together(
        _trained(spec), split.X, y, n_in=split.X.shape[1], n_out=outputs, plan=plan, part=part
    ):
        with update.network.looking():
            f = update.network(split.X_test).double().cpu()
        learned = torch.einsum("knc,snc->sk", project, update.outputs.double().cpu())
        test = (f - y_test).square().sum(-1).mean(-1)
        yield common.increment(
            update, learned=learned, accuracy=_nan_if_lost(accuracy(f, split.labels_test), f), test=test
        )


def _trained(spec: Spec) -> Spec:
    """The spec as its networks are trained: by steps where nothing else was asked for, since leaps know one output."""
    stepped = spec.method == "auto" and spec.rule != "gradient_flow"
    return spec.model_copy(update={"method": "steps"}) if stepped else spec


def _nan_if_lost(values: Tensor, f: Tensor) -> Tensor:
    """Accuracies (S,), without those of networks that have left the finite numbers, whose largest output is none."""
    return values.masked_fill(~f.isfinite().flatten(1).all(1), math.nan)


def _shares(spec: Spec) -> Tensor:
    """What takes outputs (N, classes) to the share learned of each component's targets: (K, N, classes)."""
    import torch

    ensemble = _ensemble(spec)
    at = [-k for k in components(spec)]
    modes, wanted = ensemble.modes[:, at], ensemble.coefficients[at]  # (N, K), (K, classes)
    scaled = wanted / wanted.square().sum(1, keepdim=True)
    return torch.einsum("nk,kc->knc", modes, scaled)


def _against_time(spec: Spec, ensemble: InfiniteEnsemble, times: list[float]) -> dict[str, Labelled]:
    """Accuracies and errors of the limit's mean and of ridge with penalty 1/t, infinity after the times."""
    from ntk_core.limit.classes import one_hot
    from ntk_core.limit.early_stopping import ridge_decays, ridge_gains

    split, moments = _split(spec), [*times, math.inf]
    flow = ensemble.decays(moments), ensemble.gains(moments)
    ridge = ridge_decays(ensemble, moments), ridge_gains(ensemble, moments)
    found = [_fit(spec, ensemble, *flow), _fit(spec, ensemble, *ridge)]
    arrays: dict[str, tuple] = {}
    for prefix, fit, (accuracy, train, test) in zip(
        ("", "ridge_"), ("the limit's mean", "ridge with penalty 1/t"), found, strict=True
    ):
        error = f"mean squared error of {fit}, summed over outputs"
        arrays[f"{prefix}accuracy"] = (("moment",), accuracy, f"accuracy of {fit}", "1")
        arrays[f"{prefix}train"] = (("t",), train[:-1], f"{error}, on the points learned from", "1")
        arrays[f"{prefix}test"] = (("t",), test[:-1], f"{error}, on the test digits", "1")
    return labelled(
        t=(("t",), times, "training time t = steps x learning rate", "1"),
        moment=(("moment",), moments, "training time, infinity the last", "1"),
        **arrays,
        **shared.when_to_stop(ensemble, split.X_test, one_hot(split.labels_test, len(split.classes))),
    )


def _fit(spec: Spec, ensemble: InfiniteEnsemble, left: Tensor, gain: Tensor) -> tuple[np.ndarray, ...]:
    """Accuracy, training error and test error (T,) of what spectral filters make: what they leave and gain, (T, N)."""
    from ntk_core.limit.classes import accuracy, one_hot

    split = _split(spec)
    f, y = ensemble.on(split.X_test).filtered(gain), one_hot(split.labels_test, len(split.classes))
    train = (left[..., None] * ensemble.coefficients).square().sum((1, 2)) / left.shape[1]
    test = (f - y).square().sum(-1).mean(-1)
    return accuracy(f, split.labels_test).numpy(), train.numpy(), test.numpy()


def _split(spec: Spec) -> Split:
    return split_of(*_key(spec))


def _key(spec: Spec) -> tuple[str, int, int, int]:
    return spec.data, spec.n_labelled, spec.n_test, spec.data_seed


def _ensemble(spec: Spec) -> InfiniteEnsemble:
    return _cached_ensemble(common.net_of(spec), _key(spec), None)


def _driven(spec: Spec) -> InfiniteEnsemble:
    """The same under the kernel that the spec names."""
    net = common.net_of(spec)
    kernel = choice.driving(spec, common.limit_of(net, _split(spec).X.shape[1]))
    return _cached_ensemble(net, _key(spec), kernel)


@lru_cache(maxsize=3)
def _cached_ensemble(net: common.Net, key: tuple[str, int, int, int], kernel: Kernel | None) -> InfiniteEnsemble:
    from ntk_core.limit.classes import one_hot
    from ntk_core.limit.ensemble import InfiniteEnsemble

    split = split_of(*key)
    arch, y = common.limit_of(net, split.X.shape[1]), one_hot(split.labels, len(split.classes))
    return InfiniteEnsemble(arch, split.X, y, kernel=kernel, prior=None if kernel is None else "nngp")
