"""What leaps did wrong: estimates of the error of f and of the kernel, of every seed by itself."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ntk_core.finite.per_seed import PerSeed
from ntk_core.finite.tangent import Features, relative_change
from ntk_core.products import squares
from ntk_core.training.linear_part import LinearPart, Move

NOTHING = 1e-300  # in place of 0, to divide 0 by
DYING = 0.1  # share of a kernel that is not divided by less
NOISE = 30.0  # roundings of f that are no error of leaps
# Of the error of f, and how it grows with the kernel's relative change: measured over drawn networks, enough in about
# 99 cases of 100, as are all that follow.
MARGIN, UNCERTAINTY = 1.9, 2.0
# Of the leaps' own errors of the kernel, with kinks and without; of their geometric mean with the doubt; and of what
# f's error says about the kernel.
KINKED_MARGIN, SMOOTH_MARGIN, MEAN, FOLLOWING = 1.5, 4.4, 0.25, 2.0
FIRST, SECOND = 2.0, 1.5  # see `Leap.kernel_error`
# Of |K_start - 2 K_middle + K_end|, what a leap by midpoints may at most do wrong to the kernel.
SMOOTH_BEND, KINKED_BEND = 1 / 6, 1 / 2
RESOLUTION = 1e-5  # of f's movement: no estimate claims to be better
SHORTEST_PROGRESS = 1e-3  # share of the path; see `judge`
# Beyond its stability limit a network is chaotic: an error grows, and once it is a share of f's movement two courses
# soon have no more in common than their size. That is then all that is known, and all that an error can be, in
# multiples of the farthest that f, or the kernel, has moved.
ASTRAY, LOST = 0.03, 2.0


@dataclass
class Leap:
    """A leap on trial: its linear parts at the start and, at second order, the middle; what was found at its end."""

    start: LinearPart
    middle: LinearPart | None
    move: Move
    features: Features
    kernel: Tensor  # (S, P, P)
    orders: Tensor  # (S,)

    @property
    def outputs(self) -> Tensor:
        """f at the end, (S, N, n_out)."""
        return self.features.done.outputs

    @property
    def frozen(self) -> LinearPart:
        """The linear part that was taken for all of the leap."""
        return self.middle or self.start

    @property
    def mean_kernel(self) -> Tensor:
        """The kernel's mean over the leap: by Simpson's rule, or the trapezoid's where there is no middle."""
        ends = (self.start.K + self.kernel) / 2
        if self.middle is None:
            return ends
        return torch.where((self.orders == 2)[:, None, None], (ends + 2 * self.middle.K) / 3, ends)

    @property
    def kernel_change(self) -> Tensor:
        """Relative change of the kernel, (S,)."""
        return _norm(self.kernel - self.start.K) / _size(self.kernel, self.start.K)

    def kernel_doubt(self, bend: float) -> Tensor:
        """What the leap may at most do wrong to the kernel, relative, (S,): half its change, or a share of its bend."""
        if self.middle is None:
            return self.kernel_change / 2
        bent = _norm(self.start.K - 2 * self.middle.K + self.kernel) / _size(self.kernel, self.start.K)
        return torch.where(self.orders == 2, bend * bent, self.kernel_change / 2)

    def kernel_error(self, smooth: bool) -> Tensor:
        """Relative error of the kernel by the leap, (S,).

        J changes by the share c over the leap and acts wrongly by a part m of that (`misplaced`), which moves the
        parameters wrongly by c m, and the kernel by c^2 m. At second order J at the middle is itself wrong by the
        square of its change. The kernel of an activation with kinks moves by many small jumps instead, which have no
        order: nothing is known but the doubt.
        """
        if not smooth:
            return self.kernel_doubt(KINKED_BEND)
        whole = relative_change(self.start.features, self.features)
        first, second = self.frozen.misplaced(self.move.times)
        error = FIRST * whole.square() * first
        if self.middle is None:
            return error
        half = relative_change(self.start.features, self.middle.features)
        return torch.where(self.orders == 2, SECOND * whole * half * (second + half), error)


@dataclass
class Verdict:
    """What a leap alone did wrong, (S, ...), and how much of what it may do wrong that is."""

    error: Tensor  # of f, (S, P)
    moved: Tensor  # change of f, (S, P)
    kernel: Tensor  # of the kernel, relative to it, (S,)
    doubt: Tensor  # the most that it may have done wrong to the kernel, (S,)
    share: Tensor  # 1 is all it may, (S,); infinite where there are no numbers
    first_order: Tensor  # the share of a first-order leap in its place, (S,)


class Errors(PerSeed):
    """The errors gathered by an ensemble's leaps, each seed's by itself.

    An error of f is carried on as a vector, since later training takes it back along with the residual. An error of
    the kernel stays; errors of many leaps add up like independent ones, and each may move f wrongly from then on, by as
    much as the kernel is in doubt.

    Args:
        outputs: f before training, (S, N, n_out).
        kernel: the kernel before training, (S, P, P).
        smooth: whether the activation has no kink.
        tolerance: a leap may make this error of f, relative to how far f has moved.
        kernel_tolerance: a leap may make this error of the kernel, relative to it.
        lasting: how many steps a velocity lasts, 1 / (1 - mu): for as long it carries on what it has of an error, and
            a leap under way is not centred at its middle. Measured like the margins.
    """

    def __init__(
        self,
        outputs: Tensor,
        kernel: Tensor,
        smooth: bool,
        tolerance: float,
        kernel_tolerance: float,
        lasting: float = 1.0,
    ):
        self._lasting = lasting
        self._first, self._first_kernel = outputs.double().flatten(1), kernel
        self.tolerance, self.kernel_tolerance = tolerance, kernel_tolerance
        self._noise = NOISE * torch.finfo(outputs.dtype).eps
        self._smooth = smooth
        self._made, self._drift = torch.zeros_like(self._first), torch.zeros_like(self._first)
        self._strayed, self._doubtful, self._size, self._moved, self._kernel_moved = (rms(self._made) for _ in range(5))
        self._farthest, self._kernel_farthest = torch.zeros_like(self._size), torch.zeros_like(self._size)
        self._leaping, self._lost = (torch.zeros_like(self._size, dtype=torch.bool) for _ in range(2))

    def copy(self) -> Self:
        """What was gathered so far, to go on from without a trace."""
        return copy.copy(self)

    @property
    def moved(self) -> Tensor:
        """How far f has come, root mean square, (S,)."""
        return self._moved

    @property
    def function(self) -> Tensor:
        """Estimated error of f, root mean square, (S,): what leaps did, with a margin for what estimates leave out."""
        margin = MARGIN * self._lasting**0.75 * (1.0 + UNCERTAINTY * self._kernel_moved)
        found = margin * (rms(self._made) + rms(self._drift))
        found = torch.where(self._lost, LOST * self._farthest, found)
        return torch.where(self._leaping, found + RESOLUTION * self._moved + self._noise * self._size, 0.0)

    @property
    def kernel(self) -> Tensor:
        """Estimated error of the kernel on the training points, relative to it, (S,).

        Where f is wrong so are the parameters: the kernel's change since the start is in doubt by as large a share.
        """
        doubt = (self.function / self._moved.clamp_min(1e-300)).clamp_max(1.0)
        own = KINKED_MARGIN * self._lasting**0.75 * self._strayed
        if self._smooth:
            mean = (self._strayed * self._doubtful).sqrt()
            own = SMOOTH_MARGIN * self._lasting**0.65 * (self._strayed + MEAN * mean)
        found = own + FOLLOWING * doubt * self._kernel_moved
        found = torch.where(self._lost, LOST * self._kernel_farthest, found)
        return torch.where(self._leaping, found, 0.0)

    def judge(self, leap: Leap, progress: Tensor) -> Verdict:
        """What a leap on trial did wrong, and whether it may; `progress` is its share of the whole path, (S,)."""
        before, after = (v.double().flatten(1) for v in (leap.start.features.done.outputs, leap.outputs))
        change, mean = after - before, leap.mean_kernel
        defect = change - leap.move.predicted
        error = defect - leap.frozen.bent(mean, leap.move.times)
        error = error * (rms(defect) / rms(error).clamp_min(1e-300)).clamp_min(1.0)[:, None]
        curved = leap.frozen.curved(leap.outputs, leap.move.times)
        doubt = leap.kernel_doubt(SMOOTH_BEND if self._smooth else KINKED_BEND)
        allowed = (self.tolerance * rms(after - self._first) + self._noise * rms(before)).clamp_min(NOTHING)
        # Where a unit of a narrow network flips its kernel jumps, which no shorter leap avoids.
        kernel_allowed = torch.where(progress < SHORTEST_PROGRESS, torch.inf, self.kernel_tolerance)
        share = torch.maximum(rms(error + curved) / allowed, doubt / kernel_allowed)
        first = share
        if leap.middle is not None:
            first = rms(leap.start.bent(mean, leap.move.times) + curved) / allowed
            first = torch.maximum(first, leap.kernel_change / 2 / kernel_allowed)
        shares = (v.nan_to_num(torch.inf, torch.inf) for v in (share, first))
        return Verdict(error + curved, change, leap.kernel_error(self._smooth), doubt, *shares)

    def add(self, leap: Leap, verdict: Verdict, accepted: Tensor, exact: Tensor, steady: Tensor) -> None:
        """Gathers the errors of the accepted leaps and walks; exact ones make none, but old errors go on.

        They are lost count of where the linear part itself is not steady: see `ASTRAY`.
        """
        after = leap.outputs.double().flatten(1)
        made = leap.frozen.decayed(self._made, leap.move.times) + torch.where(exact[:, None], 0.0, verdict.error)
        strayed = torch.hypot(self._strayed, torch.where(exact, 0.0, verdict.kernel))
        doubtful = torch.hypot(self._doubtful, torch.where(exact, 0.0, verdict.doubt))
        drift = leap.frozen.decayed(self._drift, leap.move.times) + doubtful[:, None] * verdict.moved
        self._made = torch.where(accepted[:, None], made, self._made)
        self._drift = torch.where(accepted[:, None], drift, self._drift)
        self._strayed = torch.where(accepted, strayed, self._strayed)
        self._doubtful = torch.where(accepted, doubtful, self._doubtful)
        self._size = torch.where(accepted, rms(after), self._size)
        self._moved = torch.where(accepted, rms(after - self._first), self._moved)
        kernel_moved = _norm(leap.kernel - self._first_kernel) / _size(leap.kernel, self._first_kernel)
        self._kernel_moved = torch.where(accepted, kernel_moved, self._kernel_moved)
        self._farthest = torch.maximum(self._farthest, self._moved)
        self._kernel_farthest = torch.maximum(self._kernel_farthest, self._kernel_moved)
        astray = ~(self.function <= ASTRAY * self._farthest)  # or beyond all numbers
        self._lost = self._lost | (accepted & ~steady & astray)
        self._leaping = self._leaping | (accepted & ~exact)


def _norm(kernel: Tensor) -> Tensor:
    return squares(kernel).sqrt()


def _size(kernel: Tensor, before: Tensor) -> Tensor:
    """To divide by: where units died little or nothing is left of a kernel, and a part of what it was counts."""
    return torch.maximum(_norm(kernel), DYING * _norm(before)).clamp_min(NOTHING)


def rms(v: Tensor) -> Tensor:
    """Root mean square of every seed's vector, (S, P) -> (S,)."""
    return (squares(v) / v.shape[-1]).sqrt()
