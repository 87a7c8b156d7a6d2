"""The paper's figures whole, as the pages run them, beside a training loop on autograd."""

from __future__ import annotations

import numpy as np
import torch

from ntk_core import Network, data
from ntk_core.data import digits
from ntk_core.experiments import circle, components, function_space
from tests.benchmarks import autograd
from tests.benchmarks.framework import Context, row
from tests.benchmarks.results import Check, Comparison
from tests.benchmarks.runs import Extrapolated, dense, finished, float32, page_note, relative_errors, whole
from tests.benchmarks.timing import alternate, seconds

EXTRAPOLATED = "autograd loop, extrapolated from 20 steps of one seed"
BY_LEAPS = {"weights": "dense", "method": "leaps"}  # from the very parameters that the peer starts from


@row("figure2", "peers", "figure 2 whole: widths 50 and 1,000, 10 seeds, t = 1,000", "autograd loop")
def figure2(context: Context) -> Comparison:
    """The peer trains every network for every step, from the parameters of our own dense networks."""
    seeds, time, widths = context.pick((10, 1000, (50, 1000)), (2, 40, (20, 50)))
    spec = function_space.Spec(widths=widths, seeds=seeds, time=time, snapshots=2, device="cpu")
    gamma, targets = function_space.training_set(spec)
    X, y = float32(data.circle(gamma)), float32(targets)[:, None]
    grid = float32(data.circle(data.angle_grid(spec.angles)))
    starts = [[dense(spec, width, seed) for seed in range(seeds)] for width in widths]
    curves = torch.zeros(len(widths), seeds, spec.angles)

    def loop() -> float:
        loops = [[autograd.Loop(autograd.copies(n), spec.beta) for n in networks] for networks in starts]
        passed = seconds(lambda: [one.train(X, y, spec.steps) for group in loops for one in group])
        curves.copy_(torch.stack([torch.stack([one(grid)[:, 0] for one in group]) for group in loops]))
        return passed

    ours, theirs = alternate(whole(spec), loop, 2)
    found = torch.from_numpy(finished(spec.model_copy(update=BY_LEAPS))["f"][-1])
    before = torch.stack([torch.stack([n(grid)[:, 0] for n in networks]) for networks in starts])
    check, note = relative_errors("f against every step taken", found, curves, before, 0.01)
    return Comparison(ours, theirs, 60, (check,), (note, page_note(spec, theirs)))


@row("figure2-10000", "peers", "figure 2 at width 10,000, one seed, t = 1,000", EXTRAPOLATED)
def figure2_wide(context: Context) -> Comparison:
    """The peer's weights and gradients take 1.6 GB."""
    width, time = context.pick((10000, 1000), (200, 40))
    spec = function_space.Spec(widths=(width,), seeds=1, time=time, snapshots=2, device="cpu")
    gamma, targets = function_space.training_set(spec)
    peer = Extrapolated(spec, data.circle(gamma), targets)
    ours, theirs = alternate(whole(spec), peer.seconds, 3)
    return Comparison(ours, theirs, 700, (), (page_note(spec, theirs),))


@row("figure1", "peers", "figure 1 whole: widths 500 and 10,000, 10 seeds, 100 inputs, t = 200", EXTRAPOLATED)
def figure1(context: Context) -> Comparison:
    """The answer is checked at the smaller width, where every step can be taken."""
    seeds, time, widths = context.pick((10, 200, (500, 10000)), (2, 30, (50, 200)))
    spec = circle.Spec(widths=widths, seeds=seeds, time=time, n_train=100, snapshots=2, device="cpu")
    peer = Extrapolated(spec, *circle.training_set(spec))
    ours, theirs = alternate(whole(spec), peer.seconds, 2)
    check, note = _kernel_change(spec.model_copy(update={"widths": widths[:1], "seeds": context.pick(4, 2)}))
    return Comparison(ours, theirs, 30, (check,), (note, page_note(spec, theirs, seeds=1)))


@row("figure3-1000", "peers", "figure 3, width 1,000, 512 digits, t = 2,000, one seed", EXTRAPOLATED)
def figure3(context: Context) -> Comparison:
    """A width at which it can be repeated in minutes."""
    return _figure3(context, context.pick(1000, 50), repeats=2)


@row("figure3-10000", "peers", "figure 3, width 10,000, 512 digits, t = 2,000, one seed", EXTRAPOLATED, slow=True)
def figure3_wide(context: Context) -> Comparison:
    """One sample of each side: ours alone takes many minutes."""
    return _figure3(context, context.pick(10000, 60), repeats=1)


def _figure3(context: Context, width: int, repeats: int) -> Comparison:
    """Between t = 0 and the end, as for the other figures; the smaller width also with a page's output times."""
    points, time = context.pick((512, 2000), (32, 40))
    spec = components.Spec(widths=(width,), seeds=1, time=time, n_train=points, snapshots=2, device="cpu")
    X = digits.batch(points, spec.digits, spec.batch_seed).inputs
    peer = Extrapolated(spec, X, np.zeros(points))
    ours, theirs = alternate(whole(spec), peer.seconds, repeats)
    samples = "one sample" if repeats == 1 else f"{repeats} samples"
    wanted = 60 if width >= 10000 else None
    page = () if repeats == 1 else (page_note(spec, theirs),)
    return Comparison(ours, theirs, wanted, (), (samples, *page))


def _kernel_change(spec: circle.Spec) -> tuple[Check, str]:
    """Change of Theta(x0, x) along the circle by leaps, against that by the loop from the same parameters."""
    found = finished(spec.model_copy(update=BY_LEAPS))
    X, targets = circle.training_set(spec)
    points = data.circle(data.angle_grid(spec.angles))
    curves = []
    for seed in range(spec.seeds):
        start = dense(spec, spec.widths[0], seed)
        loop = autograd.Loop(autograd.copies(start), spec.beta).train(float32(X), float32(targets)[:, None], spec.steps)
        weights, biases = zip(*loop.frozen(), strict=True)
        curves.append(Network.from_parameters(start.arch, weights, biases).tangent_kernel(circle.X0, points)[0])
    before, after = (torch.from_numpy(found["kernel"][moment]) for moment in (0, -1))
    return relative_errors("kernel's change against every step taken", after, torch.stack(curves)[None], before, 0.1)
