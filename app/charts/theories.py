"""Names of what drives the theory that is drawn: the limit's NTK, or another kernel in its place."""

from __future__ import annotations

from app.charts.entry import Entry

THEORIES = {"ntk": "limit", "nngp": "NNGP kernel", "rbf": "RBF kernel", "matern": "Matérn kernel"}
KERNELS = {**THEORIES, "ntk": "NTK"}


def theory_of(entry: Entry) -> str:
    """Whose theory is drawn: the limit's, or another kernel's."""
    return THEORIES[entry.spec.kernel]


def kernel_of(entry: Entry) -> str:
    """The kernel that drives it."""
    return KERNELS[entry.spec.kernel]
