"""What is known of the laws in width and depth: exact moments, the limit at every depth."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ntk_core.experiments import _laws_spec as laws
from ntk_core.runs.arrays import Labelled, labelled
from ntk_core.runs.theory import Theory

if TYPE_CHECKING:
    from ntk_core.experiments._laws_spec import Spec

HALF_NORM = 0.5  # |x0|^2 / n_0
POINTS = 40  # of the exact curves


def theory(spec: Spec) -> Theory:
    """The numbers of the spec's measure."""
    arrays, info = {"spread": _spread, "training": _training, "outputs": _outputs, "depth": _depth}[spec.measure](spec)
    nngp, ntk = np.array([limit_at_x0(spec, L) for L in spec.swept_depths]).T
    common = labelled(
        depth=(("depth",), spec.swept_depths),
        nngp=(("depth",), nngp, "Sigma(x0, x0) of the limit"),
        ntk=(("depth",), ntk, "Theta(x0, x0) of the limit"),
    )
    return Theory(common | arrays, info)


def limit_at_x0(spec: Spec, depth: int) -> tuple[float, float]:
    """(Sigma, Theta) of the limit at x0."""
    return _limit(spec.activation, spec.beta, spec.w_std, depth)


@lru_cache(maxsize=512)
def _limit(activation: str, beta: float, w_std: float, depth: int) -> tuple[float, float]:
    from ntk_core.architecture import Architecture
    from ntk_core.limit.depth_path import check_growth
    from ntk_core.limit.kernels import limiting_kernels

    arch = Architecture(depth, 1, activation, beta, w_std=w_std)
    check_growth(arch, HALF_NORM)
    kernels = limiting_kernels(arch, [[1.0, 0.0]])
    return float(kernels.nngp), float(kernels.ntk)


def _known(spec: Spec) -> str | None:
    """Why no closed form is drawn, or None."""
    from ntk_core.finite.second_moments import ACTIVE

    if spec.beta == 0 and spec.activation in ACTIVE:
        return None
    return (
        f"The exact curve is known for {', '.join(ACTIVE)} without biases (beta = 0); with {spec.activation} and "
        f"beta = {spec.beta:g} a line of the law's slope stands in its place."
    )


def _exact(spec: Spec, *names: str) -> dict[str, Labelled]:
    """Exact moments by depth over a fine grid of widths."""
    from ntk_core.finite.second_moments import exact_moments

    ends = max(min(spec.widths) / 2, 1), 2 * max(spec.widths)
    n = np.unique(np.rint(np.geomspace(*ends, POINTS)).astype(int))
    found = [[exact_moments(laws.architecture(spec, L, int(k)), HALF_NORM) for k in n] for L in spec.depths]
    at = [[exact_moments(laws.architecture(spec, L, k), HALF_NORM) for L in spec.depths] for k in spec.widths]
    arrays = labelled(n=(("n",), n, "width of the exact curves", "1"))
    for name in names:
        curve, points = ([[getattr(m, name) for m in row] for row in table] for table in (found, at))
        arrays |= labelled(
            **{f"exact_{name}": (("depth", "n"), curve), f"exact_{name}_at": (("width", "depth"), points)}
        )
    return arrays


def _spread(spec: Spec) -> tuple[dict[str, Labelled], dict[str, Any]]:
    unknown = _known(spec)
    return ({}, {"notes": [unknown]}) if unknown else (_exact(spec, "relative_variance"), {"notes": []})


def _training(spec: Spec) -> tuple[dict[str, Labelled], dict[str, Any]]:
    return {}, {"stable_rate": stable_rate(spec)}


def stable_rate(spec: Spec) -> float:
    """2 / lambda_max(Theta/N) of the limit, the smallest over the depths."""
    return min(_stable_rate(spec.activation, spec.beta, spec.w_std, L) for L in spec.depths)


@lru_cache(maxsize=512)
def _stable_rate(activation: str, beta: float, w_std: float, depth: int) -> float:
    from ntk_core.architecture import Architecture
    from ntk_core.eigen import eigvalsh
    from ntk_core.limit.depth_path import check_growth
    from ntk_core.limit.kernels import limiting_kernels
    from ntk_core.rules import GradientDescent

    X, _ = laws.training_set()
    arch = Architecture(depth, 1, activation, beta, w_std=w_std)
    check_growth(arch, HALF_NORM)
    K = limiting_kernels(arch, X).ntk / len(X)
    return GradientDescent().largest_rate(float(eigvalsh(K)[-1]))


def _outputs(spec: Spec) -> tuple[dict[str, Labelled], dict[str, Any]]:
    from ntk_core.finite.gaussian_outputs import independence, normality

    z = np.linspace(-4, 4, 161)
    unknown = _known(spec)
    arrays = labelled(z=(("z",), z), density=(("z",), np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)))
    arrays |= {} if unknown else _exact(spec, "kurtosis")
    blank = np.ones((max(spec.seeds, 1), spec.outputs))
    info = {
        "notes": [unknown] if unknown else [],
        "detectable_kurtosis": normality(blank, 1.0).detectable,
        "detectable_correlation": independence(blank, 1.0).detectable,
    }
    return arrays, info


def _depth(spec: Spec) -> tuple[dict[str, Labelled], dict[str, Any]]:
    from ntk_core.limit.depth_path import depth_path

    path = depth_path(laws.architecture(spec, spec.layers), np.cos(np.pi * np.array(laws.ANGLES)), HALF_NORM)
    pairs = ("layer", "angle")
    arrays = labelled(
        layer=(("layer",), np.arange(1, spec.layers + 1)),
        angle=(("angle",), np.pi * np.array(laws.ANGLES), "angle between two points", "rad"),
        correlation=(pairs, path.correlation, "Sigma_l(x0, x) / Sigma_l(x0, x0)"),
        tangent_correlation=(pairs, path.tangent_correlation, "Theta_l(x0, x) / Theta_l(x0, x0)"),
        chi=(("layer",), path.chi, "w^2 E[s'(u)^2]"),
        variance=(("layer",), path.variance, "Sigma_l(x0, x0)"),
    )
    return arrays, {"phase": path.phase, "chi": float(path.chi[-1])}
