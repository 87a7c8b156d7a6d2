"""The kinds of networks that the page on lazy learning compares: their names and colours, alike in all its pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.charts import style
from app.charts.entry import Entry

if TYPE_CHECKING:
    from ntk_core.experiments._lazy_spec import Case, Spec

NAMES = {
    "ntk": "the paper's",
    "standard": "standard, rates by layer",
    "standard_one_rate": "standard, one rate",
    "mup": "muP",
}


_DASHES = ("solid", "dashdot", "longdash", "longdashdot")  # dot and dash mean other things here


def name(spec: Spec, case: Case) -> str:
    """The parametrization, and the output scale where there are several."""
    scale = f", α = {spec.alphas[case.alpha]:g}" if len(spec.alphas) > 1 else ""
    return NAMES[spec.parametrizations[case.parametrization]] + scale


def colour(entry: Entry, case: Case) -> str:
    """The colour's token."""
    return style.COLOURS[(entry.first + entry.spec.cases.index(case)) % 6]


def dash(entry: Entry, case: Case) -> str:
    """The dashes, as of the widths on other pages; the standard one lies on the paper's, and both shall be seen."""
    if same_as_papers(entry.spec, case.parametrization):
        return "dot"
    return _DASHES[(entry.first + entry.spec.cases.index(case)) % len(_DASHES)]


def same_as_papers(spec: Spec, p: int) -> bool:
    """Whether this is the standard parametrization with the paper's beside it."""
    return spec.parametrizations[p] == "standard" and "ntk" in spec.parametrizations
