"""Names of what drives the theory that is drawn: the limit's NTK, or another kernel in its place."""

from __future__ import annotations

from app.charts.entry import Entry
from ntk_core.experiments._kernel_choice import WORDS

THEORIES = {name: f"{word} kernel" for name, word in WORDS.items()} | {"ntk": "limit"}
KERNELS = THEORIES | {"ntk": WORDS["ntk"]}


def theory_of(entry: Entry) -> str:
    """Whose theory is drawn: the limit's, or another kernel's."""
    return THEORIES[entry.spec.kernel]


def kernel_of(entry: Entry) -> str:
    """The kernel that drives it."""
    return KERNELS[entry.spec.kernel]
