"""The paper's figures as values of their pages' controls, from the library's presets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from ntk_core import presets


@dataclass(frozen=True)
class Card:
    """One card on the home page: `values` are what the controls of `page` shall show."""

    name: str
    figure: str
    title: str
    page: str
    text: str
    differs: str
    values: dict[str, Any]


@cache
def load() -> tuple[Card, ...]:
    """All presets by name; ValueError where one names an option that its page does not have."""
    return tuple(of_page(preset) for preset in presets.load())


def of_page(preset: presets.Preset) -> Card:
    """A preset as what its page's controls show: the spec's fields that have one, and the chart's options."""
    from app import views

    page = preset.spec.experiment
    table = {c.name: c.group for c in views.modules()[page].VIEW.table}
    unknown = sorted(name for name in preset.options if table.get(name) != "chart")
    if unknown:
        raise ValueError(f"{preset.name}.json: the page {page} has no option {', '.join(unknown)}")
    fields = {name: getattr(preset.spec, name) for name, group in table.items() if group != "chart"}
    values = fields | dict(preset.options)
    return Card(preset.name, preset.figure, preset.title, page, preset.text, preset.differs, values)
