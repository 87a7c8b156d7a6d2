"""How networks were trained, in words: leaps or steps and how many, the errors that leaping made, what diverged."""

from __future__ import annotations

from typing import Any

import numpy as np

from app.charts import style
from app.charts.entry import Entry

WANTED = {"leaps", "walked", "error", "kernel_error", "diverged", "largest"}


def told(entry: Entry, time: float) -> list[str]:
    """A sentence a width, for results that know how their networks were trained."""
    if entry.result is None or not set(entry.result.schema.variables) >= WANTED or not entry.there(time) or not time:
        return []
    values = {name: entry.now(name, time) for name in WANTED}
    return [
        entry.named(_width(entry, i, {name: array[i] for name, array in values.items()}))
        for i in range(len(entry.spec.widths))
        if np.isfinite(values["leaps"][i]).any()
    ]


def _width(entry: Entry, index: int, values: dict[str, np.ndarray]) -> str:
    error, kernel = (values[name][np.isfinite(values[name])] for name in ("error", "kernel_error"))
    # Single steps are exact: only leaps have an error.
    leaped = bool(error.size and error.max() > 0)
    exact = "" if leaped else ", all taken: exact"
    words = [f"n = {style.thousands(entry.spec.widths[index])}: {_moves(values)}{exact}"]
    if leaped:
        words.append(f"error by leaping at most about {error.max():.1g} in f")
    if leaped and kernel.size:
        words.append(f"{_percent(kernel.max())} in Θ")
    lost, beyond = values["diverged"] > 0, _beyond(entry.spec, values["largest"])
    if lost.any():
        words.append(f"diverged: {_seeds(entry, lost)}")
    if (beyond & ~lost).any():
        words.append(f"rate above what their own kernels bear at t = 0: {_seeds(entry, beyond & ~lost)}")
    return ", ".join(words)


def _moves(values: dict[str, np.ndarray]) -> str:
    """How many leaps, and steps taken one after the other, the networks of a width have taken."""
    counts = []
    for name, kind in (("leaps", "leap"), ("walked", "step")):
        found = values[name][np.isfinite(values[name])]
        if found.max() > 0:
            few, many = (f"{end:,.0f}" for end in (found.min(), found.max()))
            counts.append(f"{many if few == many else f'{few} to {many}'} {kind}{'s' * (many != '1')}")
    return " and ".join(counts) or "no step"


def _beyond(spec: Any, largest: np.ndarray) -> np.ndarray:
    """Whose learning rate is above 2 (1 + mu) / lambda of their own kernels, which in narrow networks exceed the
    limit's; costs other than the squared one have other bounds.
    """
    if spec.rule == "gradient_flow" or getattr(spec, "drive", "squared") != "squared":
        return np.zeros(largest.shape, bool)
    mu = spec.momentum if spec.rule == "momentum" else 0.0
    return spec.learning_rate * np.nan_to_num(largest) >= 2 * (1 + mu)


def _seeds(entry: Entry, which: np.ndarray) -> str:
    found = np.flatnonzero(which)
    listed = ", ".join(str(entry.spec.seed + int(k)) for k in found[:6]) + (", …" if found.size > 6 else "")
    return f"seed{'s' * (found.size > 1)} {listed}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 1 else f"{share:.2g}×"
