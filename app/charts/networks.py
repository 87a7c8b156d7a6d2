"""How networks were trained, in words: leaps or steps and how many, the errors that leaping made, what diverged."""

from __future__ import annotations

import numpy as np

from app.charts import style
from app.charts.entry import Entry

WANTED = {"moves", "error", "kernel_error", "diverged"}


def told(entry: Entry, time: float) -> list[str]:
    """A sentence a width, for results that know how their networks were trained."""
    if entry.result is None or not set(entry.result.schema.variables) >= WANTED or not entry.there(time) or not time:
        return []
    values = {name: entry.now(name, time) for name in WANTED}
    return [
        entry.named(_width(entry, i, {name: array[i] for name, array in values.items()}))
        for i in range(len(entry.spec.widths))
        if np.isfinite(values["moves"][i]).any()
    ]


def _width(entry: Entry, index: int, values: dict[str, np.ndarray]) -> str:
    moves, error, kernel = (values[name][np.isfinite(values[name])] for name in ("moves", "error", "kernel_error"))
    # Single steps are exact: only leaps have an error.
    leaped = bool(error.size and error.max() > 0)
    count = f"{moves.min():,.0f} to {moves.max():,.0f}" if moves.min() < moves.max() else f"{moves.max():,.0f}"
    words = [f"n = {style.thousands(entry.spec.widths[index])}: {count} {'leaps' if leaped else 'steps, exact'}"]
    if leaped:
        words.append(f"estimated error of f {error.max():.1g}")
    if leaped and kernel.size:
        words.append(f"of Θ {_percent(kernel.max())}")
    lost = np.flatnonzero(values["diverged"] > 0)
    if lost.size:
        seeds = ", ".join(str(entry.spec.seed + int(k)) for k in lost[:6]) + (", …" if lost.size > 6 else "")
        words.append(f"diverged: seed{'s' * (lost.size > 1)} {seeds}")
    return ", ".join(words)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 1 else f"{share:.2g}×"
