"""Spectral bias on the circle: every frequency is learned at its own rate, the kernel's Fourier eigenvalue."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ntk_core import data
from ntk_core.experiments import _common as common
from ntk_core.experiments import _kernel_choice as choice
from ntk_core.experiments import _spectral_theory as shared
from ntk_core.experiments._by_degree import by_degree
from ntk_core.experiments._spectral_spec import Spec, circle_of, waves
from ntk_core.runs.arrays import Labelled, labelled
from ntk_core.runs.result import Increment, Schema, Variable
from ntk_core.runs.theory import Theory

if TYPE_CHECKING:
    from ntk_core.limit.ensemble import InfiniteEnsemble
    from ntk_core.limit.kernel_functions import Kernel
    from ntk_core.limit.sphere import Eigenvalues
    from ntk_core.runs.parts import Part
    from ntk_core.runs.plan import Plan

HIGHEST = 48  # frequency in the picture of eigenvalues
FIT_FROM = 8  # the first frequency of the fitted power law
FEW_STEPS, NARROW = 500, 1000  # steps and width up to which networks take single steps unless told to leap
STRAIGHT = 0.15  # root mean square distance, in log lambda, below which a power law is one


def theory(spec: Spec) -> Theory:
    """Fourier eigenvalues, the mean under the kernel at every output time, amplitudes and errors against time."""
    points = circle_of(spec)
    limit, driven = ensembles_of(spec)
    ensemble, info = shared.under_rule(spec, driven, limit)
    spectra = eigenvalues_of(spec)
    own = spectra[spec.kernel]
    rates = own.values[list(spec.frequencies)]
    times = shared.dense_times(ensemble, float(rates.min()), spec.times[-1])
    curves = shared.errors_beside_ridge(ensemble, *_test(spec), times)
    amplitudes = waves(spec) @ _means(ensemble, times).T
    arrays = labelled(
        mode=(("mode",), spec.frequencies, "frequency k of cos(k gamma)", "1"),
        rate=(("mode",), rates, "eigenvalue of the frequency: its rate of learning", "1"),
        rate_error=(("mode",), own.error[list(spec.frequencies)], "bound on the error of the rate", "1"),
        wanted=(("mode",), waves(spec) @ points.y, "amplitude of cos(k gamma) in the noisy targets", "1"),
        learned=(("mode", "t"), amplitudes, "amplitude of cos(k gamma) in the limit's mean", "1"),
        train_gamma=(("point",), points.gamma, "angle of the training points", "rad"),
        train_y=(("point",), points.y, "noisy targets", "1"),
    )
    info |= {"notes": [*info["notes"], *_notes(spec, own)]}
    info |= {f"{name}_slope": _slope(found) for name, found in spectra.items()}
    return Theory(arrays | curves | _functions(spec, ensemble) | _eigenvalues(spectra), info)


def schema(spec: Spec) -> Schema:
    """Every network as a function, its amplitudes of the target's frequencies, its test error."""
    coords = labelled(
        gamma=(("gamma",), data.angle_grid(spec.angles), "angle of x", "rad"),
        mode=(("mode",), spec.frequencies, "frequency k of cos(k gamma)", "1"),
    )
    return common.schema(
        spec,
        coords,
        f=Variable((*common.NETWORK, "gamma"), "output f_t(x)"),
        learned=Variable((*common.NETWORK, "mode"), "amplitude of cos(k gamma) in f_t on the training points"),
        test=Variable(common.NETWORK, "mean squared error against the target without noise"),
    )


def plan(spec: Spec) -> Plan:
    """Predicted cost of the run, with warnings."""
    from ntk_core.runs.plan import plan_training

    found = plan_training(trained_by(spec), spec.n_train, spec.angles, 2)
    return common.with_warnings(found, spec, float(ensembles_of(spec)[0].values[-1]))


def trained_by(spec: Spec) -> Spec:
    """The spec as its networks are trained: by single steps where nothing else was asked for and they are few.

    Noise is spread over slow directions of a kernel that moves much on its way: leaps reckon with far more error there
    than they make, and few steps cost no more.
    """
    few = spec.steps <= FEW_STEPS and max(spec.widths) <= NARROW
    stepped = few and spec.method == "auto" and spec.rule == "gradient_descent"
    return spec.model_copy(update={"method": "steps"}) if stepped else spec


def run(spec: Spec, plan: Plan, part: Part | None) -> Iterator[Increment]:
    """Trains the networks of a part and looks at them along the circle at every output time."""
    import torch

    from ntk_core.runs.lockstep import train_together

    points, project = circle_of(spec), torch.from_numpy(waves(spec))
    inputs, target = data.circle(points.grid), torch.from_numpy(points.target)
    for update in train_together(
        trained_by(spec), data.circle(points.gamma), points.y, n_in=2, points=inputs, plan=plan, part=part
    ):
        with update.network.looking():
            f = update.network(inputs)[..., 0].double().cpu()
        outputs = update.outputs[..., 0].double().cpu()
        # Both ends of the grid are one point of the circle.
        test = (f - target)[:, :-1].square().mean(-1)
        yield common.increment(update, f=f, learned=outputs @ project.mT, test=test)


def ensembles_of(spec: Spec) -> tuple[InfiniteEnsemble, InfiniteEnsemble]:
    """The limit on the spec's points, and the same under the kernel that it names; both under gradient flow."""
    points = circle_of(spec)
    return choice.ensembles(spec, points.gamma, points.y)


def eigenvalues_of(spec: Spec) -> dict[str, Eigenvalues]:
    """Fourier eigenvalues of the network's two limiting kernels, and of the spec's where it is another."""
    found = by_degree(common.net_of(spec), 2, HIGHEST)
    both = {name: each.eigenvalues for name, each in zip(found._fields, found, strict=True)}
    if spec.kernel in both:
        return both
    return both | {spec.kernel: _of_kernel(choice.of(spec, common.limit_of(common.net_of(spec), 2)))}


@lru_cache(maxsize=64)
def _of_kernel(kernel: Kernel) -> Eigenvalues:
    from ntk_core.limit.sphere import fourier_eigenvalues

    return fourier_eigenvalues(kernel, HIGHEST)


def _test(spec: Spec) -> tuple[data.Floats, data.Floats]:
    """Inputs and noiseless targets all around the circle, the seam once."""
    points = circle_of(spec)
    return data.circle(points.grid[:-1]), points.target[:-1]


def _means(ensemble: InfiniteEnsemble, times: Any) -> np.ndarray:
    """The limit's mean on the training points, (T, N)."""
    fitted = shared.learned(ensemble, times) * ensemble.coefficients[:, 0]
    return (fitted @ ensemble.modes.mT).numpy()


def _functions(spec: Spec, ensemble: InfiniteEnsemble) -> dict[str, Labelled]:
    """The target, and the limit's mean and ridge regression along the circle at every moment."""
    from ntk_core.limit.early_stopping import ridge_gains

    points, times = circle_of(spec), shared.moments(spec)
    # The grid's first point is its last: the curves close without being asked for it twice.
    inputs = data.circle(points.grid[:-1])
    view = ensemble.on(inputs)
    mean, ridge = view.means(times).numpy(), view.filtered(ridge_gains(ensemble, times)).numpy()
    curve = ("times", "gamma")
    return labelled(
        gamma=(("gamma",), points.grid, "angle of x", "rad"),
        target=(("gamma",), points.target, "target without noise", "1"),
        times=(("times",), times, "training time t = steps x learning rate", "1"),
        mean=(curve, _closed(mean), "mean of f_t under the kernel", "1"),
        ridge=(curve, _closed(ridge), "ridge regression with penalty 1/t", "1"),
    )


def _closed(curves: np.ndarray) -> np.ndarray:
    return np.concatenate([curves, curves[:, :1]], axis=1)


def _eigenvalues(spectra: dict[str, Eigenvalues]) -> dict[str, Labelled]:
    k = ("frequency",)
    arrays = labelled(frequency=(k, np.arange(HIGHEST + 1), "frequency k", "1"))
    for name, found in spectra.items():
        word = f"{choice.WORDS[name]} kernel's"
        arrays |= labelled(
            **{
                name: (k, found.values, f"Fourier eigenvalue: the {word}", "1"),
                f"{name}_error": (k, found.error, f"bound on its error: the {word}", "1"),
            }
        )
    return arrays


def _slope(found: Eigenvalues) -> float | None:
    """The exponent of the eigenvalues' power law, None where they follow none."""
    k = np.arange(FIT_FROM, HIGHEST + 1)
    k = k[(found.values > found.error)[FIT_FROM:]]
    if len(k) < (HIGHEST - FIT_FROM) // 3:
        return None
    slope, height = np.polyfit(np.log(k), np.log(found.values[k]), 1)
    rest = np.log(found.values[k]) - slope * np.log(k) - height
    return float(slope) if np.sqrt((rest**2).mean()) < STRAIGHT else None


def _notes(spec: Spec, found: Eigenvalues) -> list[str]:
    gone = [k for k in spec.frequencies if found.values[k] <= found.error[k]]
    if not gone:
        return []
    which = f"frequencies {', '.join(map(str, gone))}" if len(gone) > 1 else f"frequency {gone[0]}"
    if spec.kernel in ("rbf", "matern"):
        return [f"The eigenvalue of {which} is zero to rounding under this kernel: it would take forever to learn."]
    return [
        f"The eigenvalue of {which} is zero (to rounding) under this kernel: "
        f"in the limit the networks never learn it. Give the network biases or more depth."
    ]
