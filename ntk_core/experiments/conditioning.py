"""Positive definiteness and conditioning of the limiting kernels on the unit sphere (paper, Proposition 2).

A kernel that depends on the angle alone is positive definite on the sphere if and only if no degree of the spherical
harmonics has the eigenvalue zero. On N points what counts is the smallest eigenvalue of the matrix K(X, X): of points
drawn from the sphere, or of the rows of a table of one's own, wherever they lie.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from ntk_core import data
from ntk_core.experiments import _common as common
from ntk_core.experiments import _own_points as own
from ntk_core.experiments._by_degree import by_degree, ntk_by_degree
from ntk_core.runs.arrays import Labelled, labelled
from ntk_core.runs.spec import ActivationName, ExperimentSpec
from ntk_core.runs.theory import Theory

if TYPE_CHECKING:
    from torch import Tensor

    from ntk_core.limit.conditioning import Conditioning, Definiteness
    from ntk_core.limit.parity import Absent

KERNELS = ("ntk", "nngp")
Data = Annotated[str, AfterValidator(partial(data.check_reference, sets=("sphere",)))]

# One of each kind: with a kink and smooth, even, odd, polynomial. Their duals have closed forms.
COMPARED = ("relu", "gelu", "abs", "erf", "identity")
QUICK = {*COMPARED, "leaky_relu", "step", "sin", "cos", "gaussian"}

# The values of what the matrix is followed against; the spec's own value joins them.
SWEEPS: dict[str, tuple[float, ...]] = {
    "depth": (1, 2, 3, 4, 6, 8, 12, 16),
    "beta": (0.0, 0.05, 0.1, 0.2, 0.5, 1.0),
    "dimension": (2, 3, 4, 8, 16, 32, 64),
    "points": (2, 4, 8, 16, 32, 64, 128),
}
THERE, MISSING, UNKNOWN = 1, 0, -1


class Spec(ExperimentSpec):
    """Defaults are figure 1's network on the sphere in space."""

    experiment: Literal["conditioning"] = "conditioning"
    depth: int = Field(4, ge=1, le=16)
    activation: ActivationName = "relu"
    beta: float = Field(0.1, ge=0, le=2)
    w_std: float = Field(1.0, ge=0.01, le=10, description="standard deviation of the weights; the paper's is 1")
    data: Data = Field(
        "sphere", description="sphere: points drawn from it; own: and a digest: rows of a table, as they are"
    )
    dimension: int = Field(3, ge=2, le=100, description="n_in, of the space that holds the sphere")
    degrees: int = Field(16, ge=4, le=40, description="the highest degree of the spherical harmonics")
    points: int = Field(32, ge=2, le=128, description="N points drawn uniformly from the sphere, or rows of the table")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="draws the points, or the rows")
    against: Literal["depth", "beta", "dimension", "points"] = Field(
        "depth", description="what the smallest eigenvalue and the condition number are drawn against"
    )

    @model_validator(mode="after")
    def _check_against(self) -> Spec:
        if self.of_a_table and self.against == "dimension":
            raise ValueError("against: the points of a table keep their dimension; choose depth, beta or points")
        return self

    @property
    def of_a_table(self) -> bool:
        """Whether the points are of a table of one's own, and not drawn from the sphere."""
        return own.is_own(self.data)


def theory(spec: Spec) -> Theory:
    """Eigenvalues by degree, or in order on a table's points; extreme eigenvalues against one of the settings; and
    other activations beside.
    """
    return _on_table(spec) if spec.of_a_table else _on_sphere(spec)


def _on_sphere(spec: Spec) -> Theory:
    found = by_degree(common.net_of(spec), spec.dimension, spec.degrees)
    lost, seen = _compared(spec, found.ntk)
    missing = np.flatnonzero(seen[0] == MISSING).tolist()
    arrays = (
        _degrees(found.ntk, found.nngp)
        | _sweep(spec)
        | labelled(
            seen=(("compared", "degree"), seen, "1: there, 0: missing, -1: not told from zero", "1"),
            lost=(("compared",), lost, "whether positive definiteness is lost", "1"),
        )
    )
    info = {
        "compared": list(_names(spec.activation)),
        "lost": bool(lost[0]),
        "missing": missing,
        "resolved": found.ntk.resolved,
        "notes": _notes(_absent(common.net_of(spec), spec), seen[0]) if lost[0] else [],
    }
    return Theory(arrays, info)


def _on_table(spec: Spec) -> Theory:
    """All eigenvalues of both matrices on a table's points, and how other activations are conditioned there."""
    net, at = common.net_of(spec), (spec.data, spec.points, spec.seed)
    ntk, nngp = _conditioning(net, *at)
    compared = [_conditioning(net._replace(activation=name), *at)[0] for name in _names(spec.activation)]
    arrays = labelled(
        order=(("order",), np.arange(1, spec.points + 1), "kernel principal component", "1"),
        values=(("kernel", "order"), _spectra(net, *at), "eigenvalue of K(X, X), the largest first", "1"),
        level=(("kernel",), [ntk.rounding, nngp.rounding], "an eigenvalue at or below this is not told from zero", "1"),
        others_smallest=(("compared",), [c.smallest for c in compared], "smallest eigenvalue of the NTK's matrix", "1"),
        others_number=(("compared",), [c.number for c in compared], "condition number of the NTK's matrix", "1"),
    )
    info = {"compared": list(_names(spec.activation)), "lost": ntk.singular, "missing": []}
    info |= {"dimension": _points(*at).shape[1], "notes": _table_notes(ntk, *at)}
    return Theory(arrays | _sweep(spec), info)


def slow(spec: Spec) -> bool:
    """Without closed forms a sweep takes seconds, not milliseconds."""
    return spec.activation not in QUICK


def _degrees(ntk: Definiteness, nngp: Definiteness) -> dict[str, Labelled]:
    """Eigenvalues of both kernels, their bounds and multiplicities."""
    k = ("degree",)
    return labelled(
        degree=(k, np.arange(len(ntk.eigenvalues.values)), "degree of the spherical harmonics", "1"),
        multiplicity=(k, ntk.eigenvalues.multiplicity, "dimension of the harmonics of the degree", "1"),
        ntk=(k, ntk.eigenvalues.values, "eigenvalue of the NTK", "1"),
        ntk_error=(k, ntk.eigenvalues.error, "bound on the error of the NTK's eigenvalue", "1"),
        nngp=(k, nngp.eigenvalues.values, "eigenvalue of the NNGP kernel", "1"),
        nngp_error=(k, nngp.eigenvalues.error, "bound on the error of the NNGP kernel's eigenvalue", "1"),
    )


def _sweep(spec: Spec) -> dict[str, Labelled]:
    """Extreme eigenvalues of both kernels' matrices along what the spec follows."""
    mine = getattr(spec, spec.against)
    values = sorted({*SWEEPS[spec.against], mine})
    if spec.of_a_table and spec.against == "points":
        values = [count for count in values if count <= (data.available(spec.data) or 0)]
    rows = [_at(spec, value) for value in values]

    def each(attribute: str) -> np.ndarray:
        return np.array([[getattr(row[i], attribute) for row in rows] for i in range(len(KERNELS))], float)

    dims = ("kernel", "value")
    return labelled(
        value=(("value",), values, spec.against, "1"),
        smallest=(dims, each("smallest"), "smallest eigenvalue of K(X, X)", "1"),
        largest=(dims, each("largest"), "largest eigenvalue of K(X, X)", "1"),
        rounding=(dims, each("rounding"), "an eigenvalue at or below this is not told from zero", "1"),
        number=(dims, each("number"), "condition number of K(X, X), infinite where it is singular", "1"),
    )


def _at(spec: Spec, value: float) -> tuple[Conditioning, Conditioning]:
    """Both matrices with one of the spec's settings changed."""
    changed: dict[str, Any] = {name: getattr(spec, name) for name in ("depth", "beta", "dimension", "points")}
    changed[spec.against] = value
    net = common.Net(changed["depth"], spec.activation, changed["beta"], spec.w_std)
    source = spec.data if spec.of_a_table else changed["dimension"]
    return _conditioning(net, source, changed["points"], spec.seed)


@lru_cache(maxsize=512)
def _conditioning(net: common.Net, source: str | int, points: int, seed: int) -> tuple[Conditioning, Conditioning]:
    """Both matrices on points of a table, or of the sphere in a space of this dimension."""
    from ntk_core.limit.conditioning import conditioning

    ntk, nngp = _kernels(net, source, points, seed)
    return conditioning(ntk), conditioning(nngp)


@lru_cache(maxsize=8)
def _spectra(net: common.Net, source: str | int, points: int, seed: int) -> np.ndarray:
    """Eigenvalues of both matrices, the largest first, (2, N)."""
    from ntk_core.eigen import eigvalsh

    return np.stack([eigvalsh(K).numpy()[::-1] for K in _kernels(net, source, points, seed)])


def _kernels(net: common.Net, source: str | int, points: int, seed: int) -> tuple[Tensor, Tensor]:
    """NTK and NNGP kernel, with equal rows for equal inputs."""
    from ntk_core.limit.kernel_functions import NNGP, NTK
    from ntk_core.limit.predictions import kernels

    X = _points(source, points, seed)
    arch = common.limit_of(net, X.shape[1])
    return kernels(NTK(arch), NNGP(arch), X)


def _points(source: str | int, points: int, seed: int) -> Tensor:
    """Rows of a table, or points of the sphere, (N, n_in); a prefix for fewer."""
    import torch

    from ntk_core.limit.conditioning import sphere_points

    if isinstance(source, int):
        return sphere_points(points, source, seed)
    return torch.from_numpy(data.resolve(source, points, seed=seed).inputs)


def _names(own: str) -> tuple[str, ...]:
    """The activations that stand beside each other, the spec's own first."""
    return tuple(dict.fromkeys((own, *COMPARED)))


def _compared(spec: Spec, own: Definiteness) -> tuple[np.ndarray, np.ndarray]:
    """For each activation whether its NTK loses positive definiteness, (A,), and which degrees it sees, (A, K + 1)."""
    net = common.net_of(spec)
    nets = [net._replace(activation=a) for a in _names(spec.activation)]
    rows = [own, *(ntk_by_degree(other, spec.dimension, spec.degrees) for other in nets[1:])]
    absent = [_absent(other, spec) for other in nets]
    lost = np.array([row.lost or gone is not None for row, gone in zip(rows, absent, strict=True)])
    return lost, np.stack([_seen(row, gone) for row, gone in zip(rows, absent, strict=True)])


def _absent(net: common.Net, spec: Spec) -> Absent | None:
    """What a network's NTK lacks by construction, of the spec's degrees."""
    from ntk_core.limit.parity import absent

    return absent(common.limit_of(net, spec.dimension), spec.degrees)


def _seen(found: Definiteness, gone: Absent | None) -> np.ndarray:
    """By degree: there, missing (by construction; or a later one is there, or the values end at once), or unknown."""
    values, error = found.eigenvalues.values, found.eigenvalues.error
    seen = np.where(values > error, THERE, UNKNOWN)
    seen[list(found.missing)] = MISSING
    if gone:
        seen[list(gone.degrees)] = MISSING
    elif found.lost and not found.missing:
        seen[found.resolved + 1 :] = MISSING
    return seen.astype(np.int8)


def _notes(gone: Absent | None, seen: np.ndarray) -> list[str]:
    """Which degrees are missing, and which are only too small to be told from zero."""
    missing, hidden = (np.flatnonzero(seen == state).tolist() for state in (MISSING, UNKNOWN))
    what = f"{gone.words if gone else _listed(missing)} of the spherical harmonics"
    have = "has" if gone or len(missing) == 1 else "have"
    note = f"The NTK is not positive definite on this sphere: {what} {have} eigenvalue 0. Nothing in those directions "
    note += "is ever learned."
    if hidden:
        note += f" What {_listed(hidden)} {'have' if len(hidden) > 1 else 'has'} is below rounding, and not known here."
    return [note]


def _listed(degrees: list[int]) -> str:
    return f"degree{'s' * (len(degrees) > 1)} {', '.join(map(str, degrees[:8]))}{', …' if len(degrees) > 8 else ''}"


def _table_notes(ntk: Conditioning, source: str, points: int, seed: int) -> list[str]:
    """Why a table's matrix cannot be inverted."""
    X = _points(source, points, seed).numpy()
    again = points - len(np.unique(X + 0.0, axis=0))  # + 0.0 turns -0.0 into 0.0
    if again:
        return [
            f"{again} of these {points} rows {'repeat' if again > 1 else 'repeats'} the inputs of another row, so that "
            f"K(X, X) is singular whatever the kernel: where their targets differ, no function fits both."
        ]
    if not ntk.singular:
        return []
    return [
        "The NTK's matrix is not told from a singular one: its smallest eigenvalue is below rounding. Gradient descent "
        "does not learn such a direction in any time that counts."
    ]
