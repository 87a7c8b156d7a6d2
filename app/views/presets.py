"""The paper's figures as settings: assets/presets/*.json, checked against the tables of their pages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from app.controls.forms import FORMS

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "presets"


@dataclass(frozen=True)
class Preset:
    """One card on the home page: `values` are what the controls of `page` shall show."""

    name: str
    figure: str
    title: str
    page: str
    text: str
    differs: str
    values: dict[str, Any]


@cache
def load() -> tuple[Preset, ...]:
    """All presets by file name; ValueError where a file names a control that its page does not have."""
    return tuple(_read(path) for path in sorted(FOLDER.glob("*.json")))


def _read(path: Path) -> Preset:
    from app import views

    fields = json.loads(path.read_text(encoding="utf-8"))
    table = {c.name: c for c in views.modules()[fields["page"]].VIEW.table}
    settings = fields.pop("settings")
    unknown = sorted(set(settings) - set(table))
    if unknown:
        raise ValueError(f"{path.name}: the page {fields['page']} has no control {', '.join(unknown)}")
    values = {name: FORMS[table[name].kind].parse(text, table[name]) for name, text in settings.items()}
    return Preset(path.stem, values=values, **fields)
