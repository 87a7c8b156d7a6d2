"""The paper's figures, ready to run: one JSON file each, with every field of its spec: no default moves them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntk_core import experiments
from ntk_core.runs.spec import sentences

if TYPE_CHECKING:
    from ntk_core.runs.spec import ExperimentSpec

_TEXTS = ("figure", "title", "text", "differs")


@dataclass(frozen=True)
class Preset:
    """A figure.

    Attributes:
        name: its file's, e.g. "figure1".
        figure, title, text: what it is, in two words, a line and a sentence.
        differs: what is not as in the paper.
        spec: what to run.
        options: of the chart, by name: those that differ from the chart's own.
    """

    name: str
    figure: str
    title: str
    text: str
    differs: str
    spec: ExperimentSpec
    options: Mapping[str, Any]


@cache
def load() -> tuple[Preset, ...]:
    """All presets, by name.

    Raises:
        ValueError: a file is not complete, or its spec is not valid.
    """
    return tuple(parse(path.stem, path.read_bytes()) for path in sorted(Path(__file__).parent.glob("*.json")))


def get(name: str) -> Preset:
    """The preset of that name, or a ValueError that lists the names there are."""
    found = {preset.name: preset for preset in load()}
    if name not in found:
        raise ValueError(f"preset: {name[:40]!r} is not known; choose one of {', '.join(found)}")
    return found[name]


def parse(name: str, data: bytes) -> Preset:
    """A preset from its file.

    Raises:
        ValueError: it is not complete (the sentence names what is missing or too much), or its spec is not valid.
    """
    fields = json.loads(data)
    wrong = sorted({*_TEXTS, "spec", "options"} ^ set(fields))
    if wrong:
        raise ValueError(f"{name}.json: {', '.join(wrong)}: missing, or too much")
    try:
        spec = experiments.parse(fields["spec"])
    except ValueError as error:
        raise ValueError(f"{name}.json: {'; '.join(sentences(error))}") from error
    implied = sorted(type(spec).model_fields.keys() - fields["spec"].keys())
    if implied:
        raise ValueError(f"{name}.json: its spec leaves {', '.join(implied)} to a default that may change")
    return Preset(name, **{text: fields[text] for text in _TEXTS}, spec=spec, options=fields["options"])
