"""Eigenvalues of the limiting kernels on the sphere: by degree, the smallest of a matrix, and which are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.charts import style
from app.charts.entry import Entry
from app.charts.style import Panel

KERNELS = (("NTK Θ∞", "ntk", style.COLOURS[0], "circle"), ("NNGP kernel Σ∞", "nngp", style.COLOURS[1], "square"))

AGAINST = {
    "depth": "depth L (weight matrices)",
    "beta": "bias factor β",
    "dimension": "dimension of the inputs n₀",
    "points": "number of points N",
}
MATRIX_AXIS = "λ<sub>max</sub> / λ<sub>min</sub>"
DEGREE_AXIS = "degree k of the spherical harmonics"


def facts(spec: Any, plan: Any) -> list[str]:
    """The conventions behind the numbers."""
    hidden = spec.depth - 1
    return [
        f"depth {spec.depth} = weight matrices, {hidden} hidden layer{'s' * (hidden != 1)}",
        *_whose(spec),
        "eigenvalues of K(X, X), not divided by N",
        "float64",
    ]


def _whose(spec: Any) -> list[str]:
    if spec.of_a_table:
        return [f"{spec.points} rows of a table as they are, drawn by seed {spec.seed:,}"]
    return [
        f"unit sphere in dimension {spec.dimension}", f"{spec.points} points drawn uniformly, seed {spec.seed:,}"
    ]  # fmt: skip


def _shown(options: Mapping[str, Any]) -> tuple[tuple[str, str, str, str], ...]:
    return KERNELS if options.get("nngp") else KERNELS[:1]


def _on_sphere(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if not entry.spec.of_a_table]


def _of_tables(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.spec.of_a_table]


def _degrees(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any] | None:
    entries = _on_sphere(entries)
    if not entries:
        return None
    traces: list[dict[str, Any]] = []
    there: list[np.ndarray] = []
    for entry in entries:
        for name, key, colour, symbol in _shown(options):
            k, values, error = (entry.theory[n] for n in ("degree", key, f"{key}_error"))
            seen = values > error
            there.append(values[seen])
            traces.append(_marked(k, np.where(seen, values, np.nan), entry.named(name), colour, symbol, "k"))
    low, high = _reach(there)
    for entry in entries:
        traces += _missing(entry, low)
    y = style.log_axis("eigenvalue λₖ on the sphere", [low, high], range=[np.log10(low / 2), np.log10(high * 2)])
    return {"data": traces, "layout": style.layout(style.axis(DEGREE_AXIS), y)}


def _missing(entry: Entry, low: float) -> list[dict[str, Any]]:
    """At the foot of the picture, the degrees that the NTK does not see, and those that rounding hides."""
    seen, k = entry.theory["seen"][0], entry.theory["degree"]
    traces = []
    for state, name, colour, symbol, what in (
        (0, "missing from the NTK: λₖ = 0", style.INK, "triangle-down", "λₖ = 0"),
        (-1, "NTK below rounding", style.MUTED, "circle", "not told from zero"),
    ):
        gone = k[seen == state]
        if gone.size:
            foot, hover = np.full(gone.shape, low), f"k = %{{x}}<extra>{what}</extra>"
            traces.append(style.points(gone, foot, entry.named(name), colour, symbol, open=True, hovertemplate=hover))
    return traces


def _spectrum(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Every eigenvalue of both matrices on a table's points, the largest first."""
    entries = _of_tables(entries)
    if not entries:
        return None
    traces: list[dict[str, Any]] = []
    drawn: list[np.ndarray] = []
    for entry in entries:
        k, values, level = (entry.theory[name] for name in ("order", "values", "level"))
        for i, (name, _, colour, symbol) in enumerate(_shown(options)):
            clear = values[i] > level[i]
            drawn += [values[i][clear], level[i : i + 1][: not clear.all()]]
            traces.append(_marked(k, np.where(clear, values[i], np.nan), entry.named(name), colour, symbol, "k"))
            below = np.full(int((~clear).sum()), level[i])
            traces += _singular(k[~clear], below, colour, named=i == 0)
    y = style.log_axis("eigenvalue λₖ of K(X, X)", np.concatenate(drawn))
    return {"data": traces, "layout": style.layout(style.axis("kernel principal component k"), y)}


def _smallest(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    traces: list[dict[str, Any]] = []
    drawn: list[np.ndarray] = []
    for entry in entries:
        x, smallest, rounding = (entry.theory[name] for name in ("value", "smallest", "rounding"))
        for i, (name, _, colour, symbol) in enumerate(_shown(options)):
            clear = smallest[i] > rounding[i]
            drawn += [smallest[i][clear], rounding[i][~clear]]
            traces.append(_marked(x, np.where(clear, smallest[i], np.nan), entry.named(name), colour, symbol, "x"))
            traces += _singular(x[~clear], rounding[i][~clear], colour, named=i == 0)
    y = style.log_axis("λ<sub>min</sub> of K(X, X)", np.concatenate(drawn))
    return {"data": traces, "layout": style.layout(_against(entries), y, shapes=_own(entries))}


def _singular(x: np.ndarray, level: np.ndarray, colour: str, *, named: bool) -> list[dict[str, Any]]:
    """Where the matrix is not told from a singular one: the level that its smallest eigenvalue is below."""
    if not x.size:
        return []
    hover = "%{x}: not told from singular,<br>below %{y:.2g}<extra></extra>"
    mark = style.points(x, level, "below rounding", colour, "triangle-down", open=True, hovertemplate=hover)
    return [mark | {"showlegend": named}]


def _condition(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    traces: list[dict[str, Any]] = []
    drawn: list[np.ndarray] = []
    for entry in entries:
        x, number = entry.theory["value"], entry.theory["number"]
        for i, (name, _, colour, symbol) in enumerate(_shown(options)):
            finite = np.where(np.isfinite(number[i]), number[i], np.nan)
            drawn.append(finite)
            traces.append(_marked(x, finite, entry.named(name), colour, symbol, "x"))
    y = style.log_axis(MATRIX_AXIS, np.concatenate(drawn))
    if not np.isfinite(np.concatenate(drawn)).any():
        return style.empty("Every one of these matrices is singular to rounding", _against(entries), y)
    return {"data": traces, "layout": style.layout(_against(entries), y, shapes=_own(entries))}


def _activations(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """One row an activation: full where the NTK sees a degree, open where it does not."""
    entries = _on_sphere(entries)
    if not entries:
        return None
    theory, names = entries[0].theory, entries[0].theory.info["compared"]
    seen, k, lost = theory["seen"], theory["degree"], theory["lost"]
    rows = np.arange(len(names))[::-1]
    traces = []
    for value, name, colour, symbol, is_open in (
        (1, "λₖ > 0", style.COLOURS[0], "circle", False),
        (0, "λₖ = 0: missing", style.COLOURS[1], "x", False),
        (-1, "below rounding", style.MUTED, "circle", True),
    ):
        at = [(k[j], rows[i]) for i in range(len(names)) for j in range(len(k)) if seen[i, j] == value]
        if at:
            x, y = zip(*at, strict=True)
            traces.append(
                style.points(
                    x, y, name, colour, symbol, open=is_open, size=9, outline=1, hovertemplate="k = %{x}"
                )
            )  # fmt: skip
    labels = [f"{name}: {'lost' if gone else 'kept'}" for name, gone in zip(names, lost, strict=True)]
    axis = style.axis("activation σ", tickvals=rows.tolist(), ticktext=labels, range=[-0.6, len(names) - 0.4])
    return {"data": traces, "layout": style.layout(style.axis(DEGREE_AXIS), axis)}


def _others(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """One row an activation: the condition number of its NTK's matrix on the table's points."""
    entries = _of_tables(entries)
    if not entries:
        return None
    theory, names = entries[0].theory, entries[0].theory.info["compared"]
    number, rows = theory["others_number"], np.arange(len(names))[::-1]
    finite = np.isfinite(number)
    hover = "%{x:.4g}<extra>NTK</extra>"
    traces = [style.points(number[finite], rows[finite], "NTK Θ∞", style.COLOURS[0], "circle", hovertemplate=hover)]
    labels = [name if there else f"{name}: singular" for name, there in zip(names, finite, strict=True)]
    # Whole powers alone: across a phone there is no room for more.
    x = style.axis(f"condition number {MATRIX_AXIS}", type="log", exponentformat="power", dtick=1)
    if finite.any():
        low, high = np.log10(number[finite].min()), np.log10(number[finite].max())
        x |= {"range": [np.floor(low) - 0.1, np.ceil(high) + 0.1], "dtick": 1 if high - low < 6 else 2}
    y = style.axis("activation σ", tickvals=rows.tolist(), ticktext=labels, range=[-0.6, len(names) - 0.4])
    if not finite.any():
        return style.empty("Every one of these matrices is singular to rounding", x, y)
    return {"data": traces, "layout": style.layout(x, y)}


def _marked(x: Any, y: Any, name: str, colour: str, symbol: str, letter: str) -> dict[str, Any]:
    """A line with marks on its points."""
    hover = f"{letter} = %{{x}}<br>%{{y:.4g}}<extra>{name}</extra>"
    line = style.line(x, y, name, colour, dash="solid" if symbol == "circle" else "dash", hovertemplate=hover)
    return line | {
        "mode": "lines+markers",
        "connectgaps": True,
        "marker": {"size": 8, "symbol": symbol, "color": colour},
    }


def _reach(values: Sequence[np.ndarray]) -> tuple[float, float]:
    """The lowest and highest value that is drawn, at least a decade apart."""
    flat = np.concatenate(values)
    if not flat.size:
        return 0.1, 1.0
    return float(min(flat.min() / 3, flat.max() / 10)), float(flat.max())


def _against(entries: Sequence[Entry]) -> dict[str, Any]:
    against = entries[0].spec.against
    logarithmic = {"type": "log", "tickformat": "~g", "dtick": "D2"} if against in ("dimension", "points") else {}
    return style.axis(AGAINST[against], **logarithmic)


def _own(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """A line at the setting that the other panels show."""
    edge = {"color": style.MUTED, "width": 1.5, "dash": "dot"}
    return [
        {"type": "line", "xref": "x", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": edge}
        for x in {float(getattr(e.spec, e.spec.against)) for e in entries}
    ]


PANELS = {
    "degrees": Panel(
        "Eigenvalue of every degree on the sphere", "main",
        "Eigenvalues of the NTK and the NNGP kernel against the degree of the spherical harmonics, logarithmic.",
        _degrees,
    ),
    "spectrum": Panel(
        "Eigenvalues on the table's points, in order", "main",
        "Every eigenvalue of both kernels' matrices on the table's points, the largest first, logarithmic.", _spectrum,
    ),
    "smallest": Panel(
        "Smallest eigenvalue on N points", "side",
        "Smallest eigenvalue of both kernels' matrices against the chosen setting, logarithmic.", _smallest,
    ),
    "number": Panel(
        "Condition number on N points", "side",
        "Condition number of both kernels' matrices against the chosen setting, logarithmic.", _condition,
    ),
    "activations": Panel(
        "Which activations lose positive definiteness", "base",
        "One row an activation, one mark a degree: full where the NTK has a positive eigenvalue, a cross where none.",
        _activations,
    ),
    "others": Panel(
        "Other activations on the same points", "base",
        "One row an activation: the condition number of its NTK's matrix on the table's points, logarithmic.", _others,
    ),
}  # fmt: skip
