"""The controls that every experiment on trained networks has, as rows of the table."""

from __future__ import annotations

from collections.abc import Sequence

from app.controls.bounds import bounds
from app.controls.forms import Control
from ntk_core.activations.known_names import ACTIVATIONS
from ntk_core.runs.spec import TrainingSpec

MAX_SEED = int(bounds(TrainingSpec, "seed")[1])

WIDTHS_ON_OFFER = (50, 100, 250, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 100_000, 1_000_000)

_NETWORK = (
    Control(
        "depth", "slider", "Depth L (weight matrices)", "L counts weight matrices, so there are L − 1 hidden layers.",
        limits=bounds(TrainingSpec, "depth"), step=1,
    ),
    Control(
        "widths", "widths", "Widths n", "Neurons in each hidden layer; up to six widths train side by side. "
        "Type any whole number up to 1,000,000.", limits=(1, 1_000_000), options={n: f"{n:,}" for n in WIDTHS_ON_OFFER},
    ),
    Control(
        "activation", "choice", "Activation σ", "Any of these has its infinite limit; step cannot be trained well.",
        options={name: name for name in ACTIVATIONS},
    ),
    Control(
        "beta", "real_slider", "Bias factor β", "Factor of the biases. The paper uses 0.1.",
        limits=bounds(TrainingSpec, "beta"), step=0.05,
    ),
)  # fmt: skip

_TRAINING = (
    Control("seeds", "integer", "Seeds", "How many networks of each width.", limits=bounds(TrainingSpec, "seeds"),
            step=1),
    Control(
        "learning_rate", "real", "Learning rate η", "Gradient descent diverges above 2/λ₁; a warning says so before.",
        limits=(1e-6, 1000), step=0.1,
    ),
    Control(
        "time", "real", "Training time t", "t = steps × learning rate, so twice the rate needs half the steps.",
        limits=(0, 1e9), step=100.0,
    ),
)  # fmt: skip

_ADVANCED = (
    Control(
        "w_std", "real", "Weight scale σ_w", "Standard deviation of the weights; the paper's is 1, √2 keeps relu's "
        "kernels from shrinking with depth.", "advanced", limits=(0.01, 10), step=0.1,
    ),
    Control(
        "rule", "choice", "Update rule", "Gradient flow is the limit of small steps.", "advanced",
        {"gradient_descent": "gradient descent", "gradient_flow": "gradient flow", "momentum": "momentum"},
    ),
    Control(
        "momentum", "real_slider", "Momentum μ", "", "advanced", limits=(0, 0.999), step=0.01,
        shown_if=lambda values: values["rule"] == "momentum",
    ),
    Control(
        "method", "choice", "Method", "Leaps take many steps at once, exactly in the part that is linear in the "
        "parameters; steps is plain gradient descent, the reference. Auto takes what is sooner done. The error by "
        "leaping that is told below the charts is an upper estimate: it holds in some 99 of 100 runs, and is typically "
        "some ten times what is in fact wrong. Steps have none.", "advanced",
        {"auto": "auto", "steps": "steps", "leaps": "leaps"},
    ),
    Control(
        "weights", "choice", "Weights", "Sampled weights are drawn only where they are looked at: exact in "
        "distribution, and they fit at any width.", "advanced",
        {"auto": "auto", "dense": "dense", "sampled": "sampled"},
    ),
    Control(
        "tolerance", "real", "Tolerance of leaps", "Error allowed, relative to how far f has moved.", "advanced",
        limits=(1e-6, 1), step=0.005,
    ),
    Control(
        "kernel_tolerance", "real", "Tolerance of kernels", "How wrong one leap may leave the tangent kernel, relative "
        "to it, at worst.", "advanced", limits=(1e-6, 1), step=0.05,
    ),
    Control(
        "precision", "segments", "Precision", "", "advanced", {"float32": "float32", "float64": "float64"}
    ),
    Control(
        "device", "segments", "Device", "auto takes a CUDA device where there is one.", "advanced",
        {"auto": "auto", "cpu": "cpu", "cuda": "cuda"},
    ),
    Control(
        "snapshots", "integer", "Output times", "Moments at which the networks are looked at, t = 0 included.",
        "advanced", limits=bounds(TrainingSpec, "snapshots"), step=1,
    ),
    Control(
        "seed", "integer", "First seed", "Network k of a width uses seed + k. The same seed gives the same network.",
        "advanced", limits=bounds(TrainingSpec, "seed"), step=1,
    ),
)  # fmt: skip

BAND = Control(
    "band", "toggle", "Mean and 10–90 % band", "Instead of one thin line a network (three seeds or more).", "chart",
    default=False,
)  # fmt: skip


def table(data: Sequence[Control], chart: Sequence[Control], advanced: Sequence[Control] = ()) -> tuple[Control, ...]:
    """The whole table of a page: network, `data`, training, advanced, and the `chart`'s options."""
    return (*_NETWORK, *data, *_TRAINING, *_ADVANCED, *advanced, *chart)
