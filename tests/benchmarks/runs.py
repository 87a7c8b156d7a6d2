"""Whole runs, ours and the peer's, and how far their answers are apart."""

from __future__ import annotations

import statistics

import numpy as np
import torch
from torch import Tensor

from ntk_core import Architecture, Network, experiments
from ntk_core.runs.result import Result
from ntk_core.runs.spec import TrainingSpec
from tests.benchmarks import autograd
from tests.benchmarks.results import Check
from tests.benchmarks.timing import Sampler, sampler, seconds

TRIED = 20  # steps of the peer that are timed where it is extrapolated
PAGE_TIMES = 24  # output times of a page


def finished(spec: TrainingSpec) -> Result:
    """The experiment run to its end, as a page would."""
    return experiments.compute(spec)


def warmed_up(spec: TrainingSpec) -> None:
    """Libraries are loaded, threads started, the machine's speeds and the data's kernels known."""
    experiments.load(spec.experiment).plan(spec)
    tiny = {"widths": (16,), "seeds": 1, "time": 2.0, "weights": "auto", "method": "auto"}
    finished(spec.model_copy(update=tiny))


def whole(spec: TrainingSpec) -> Sampler:
    """Everything from the spec to the last increment, weights drawn anew; what belongs to the data is at hand."""
    warmed_up(spec)
    return sampler(lambda: finished(spec))


def page_note(spec: TrainingSpec, theirs: tuple[float, ...], seeds: int | None = None) -> str:
    """The same with all the output times of a page, each with its curves; of fewer seeds where it takes long."""
    seeds = spec.seeds if seeds is None else min(seeds, spec.seeds)
    page = spec.model_copy(update={"snapshots": PAGE_TIMES, "seeds": seeds})
    passed = seconds(lambda: finished(page))
    faster = statistics.median(theirs) * seeds / spec.seeds / passed
    share = "" if seeds == spec.seeds else f" for {seeds} of {spec.seeds} seeds"
    return f"with {len(page.times)} output times and their curves {passed:.3g} s{share}, {faster:.3g}x"


class Extrapolated:
    """The autograd loop for `TRIED` steps of one seed of every width, its time multiplied to all steps and seeds."""

    def __init__(self, spec: TrainingSpec, X: np.ndarray, targets: np.ndarray):
        self.spec, self.X, self.y = spec, float32(X), float32(targets)[:, None]
        self.tried = min(TRIED, spec.steps)

    def seconds(self) -> float:
        """Of the whole run, drawing the weights apart."""
        return sum(self._step(width) for width in self.spec.widths) * self.spec.steps * self.spec.seeds

    def _step(self, width: int) -> float:
        sizes = Architecture(self.spec.depth, width, n_in=self.X.shape[1]).widths
        loop = autograd.Loop(autograd.drawn(sizes), self.spec.beta)
        loop.train(self.X, self.y, 2)  # memory is claimed and threads started
        return seconds(lambda: loop.train(self.X, self.y, self.tried)) / self.tried


def dense(spec: TrainingSpec, width: int, seed: int, n_in: int = 2) -> Network:
    """The untrained dense network that the spec's run of this seed would start from."""
    arch = Architecture(spec.depth, width, spec.activation, spec.beta, n_in)
    return Network.init(arch, seed, device="cpu", weights="dense")


def relative_errors(what: str, ours: Tensor, exact: Tensor, before: Tensor, wanted: float) -> tuple[Check, str]:
    """Errors of curves (width, seed, angle) relative to their change: a check and a note.

    Root mean squares over all seeds and angles of a width; the worst width is checked, the worst seed noted.
    """
    error, change = (ours - exact).double().square(), (exact - before).double().square()
    by_width = (error.mean((1, 2)) / change.mean((1, 2))).sqrt()
    by_seed = (error.mean(2) / change.mean(2)).sqrt()
    listed = ", ".join(f"{v:.2g}" for v in by_width.tolist())
    return Check(what, float(by_width.max()), wanted), f"error by width {listed}, of the worst seed {by_seed.max():.2g}"


def float32(values: np.ndarray) -> Tensor:
    """An array as the tensor that networks train on."""
    return torch.from_numpy(np.asarray(values)).float()
