"""Controls in one declarative table: each row is a widget, a field of a spec (or a chart's option), a URL parameter.

Values come from a URL or from widgets, and both are checked here, on the server. Nothing here imports Streamlit.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.controls.forms import FORMS, Control
from ntk_core import experiments
from ntk_core.runs.spec import ExperimentSpec, sentences

MAX_TEXT = 2000  # characters of one URL value; longer ones are refused unread

__all__ = [
    "FORMS", "Control", "Resolved", "defaults", "filled", "from_query", "from_widgets", "labelled", "plain", "resolve",
    "to_query",
]  # fmt: skip


@dataclass(frozen=True)
class Resolved:
    """What came of a set of values: always a valid spec, and a sentence for each value that was not."""

    spec: ExperimentSpec
    options: dict[str, Any]
    values: dict[str, Any]
    problems: tuple[str, ...] = ()


def defaults(experiment: str, controls: Sequence[Control]) -> dict[str, Any]:
    """Every control's default: the spec's own for its fields, the table's for a chart's options."""
    spec = _default(experiment)
    return {c.name: c.default if c.group == "chart" else getattr(spec, c.name) for c in controls}


@functools.cache
def _default(experiment: str) -> ExperimentSpec:
    make: Callable[..., ExperimentSpec] = experiments.load(experiment).Spec
    return make()


def from_query(
    controls: Sequence[Control], query: Mapping[str, Sequence[str]], fallback: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Values from a URL's parameters {name: [text, ...]}: each bad one is named in a sentence and falls back alone."""
    values, problems = dict(fallback), []
    for control in controls:
        texts = query.get(control.name, [])
        try:
            if len(texts) > 1:
                raise ValueError(f"is given {len(texts)} times")
            if texts:
                if len(texts[0]) > MAX_TEXT:
                    raise ValueError(f"is too long ({len(texts[0]):,} characters)")
                values[control.name] = FORMS[control.kind].parse(texts[0], control)
        except ValueError as error:
            problems.append(_sentence(control, error))
    return values, problems


def from_widgets(
    controls: Sequence[Control], held: Mapping[str, Any], fallback: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Values from what the widgets hold. They are checked again here: limits in a browser are no promise."""
    values, problems = dict(fallback), []
    for control in controls:
        if control.name not in held or (held[control.name] is None and control.kind not in ("pills", "choices")):
            continue
        try:
            values[control.name] = FORMS[control.kind].from_widget(held[control.name], control)
        except (ValueError, TypeError) as error:
            problems.append(_sentence(control, error))
    return values, problems


def filled(controls: Sequence[Control], values: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The values, where those that just came into view and hold nothing hold what they make of the values before."""
    arriving = [c for c in controls if c.filled and c.shown(values) and not c.shown(before) and not values[c.name]]
    return {**values, **{c.name: c.filled(before) for c in arriving if c.filled}}


def to_query(controls: Sequence[Control], values: Mapping[str, Any], fallback: Mapping[str, Any]) -> dict[str, str]:
    """The URL's parameters: every control that is not at its default."""
    return {
        c.name: FORMS[c.kind].text(values[c.name]) for c in controls if values[c.name] != fallback[c.name]
    }  # fmt: skip


def to_widgets(controls: Sequence[Control], values: Mapping[str, Any]) -> dict[str, Any]:
    """What the widgets must hold to show these values."""
    return {c.name: FORMS[c.kind].to_widget(values[c.name]) for c in controls}


def resolve(
    experiment: str, controls: Sequence[Control], values: Mapping[str, Any], fallback: Mapping[str, Any]
) -> Resolved:
    """A valid spec from values; a field that the spec refuses falls back alone, with the spec's own sentence."""
    values, problems = dict(values), list[str]()
    fields = [c.name for c in controls if c.group != "chart"]
    make: Callable[..., ExperimentSpec] = experiments.load(experiment).Spec
    rescues = [fallback, defaults(experiment, controls)]
    while True:
        try:
            spec = make(**{name: values[name] for name in fields})
            break
        except ValueError as error:
            found = sentences(error)
            problems += [sentence for sentence in found if sentence not in problems]
            guilty = {sentence.split(":")[0].split(".")[0] for sentence in found} & set(fields)
            rescue = rescues[0]
            if all(values[name] == rescue[name] for name in guilty):  # it is another field's doing
                guilty, rescue = set(fields), rescues.pop(0)
            values |= {name: rescue[name] for name in guilty}
    options = {c.name: values[c.name] for c in controls if c.group == "chart"}
    return Resolved(spec, options, values, tuple(problems))


def plain(sentence: str) -> str:
    """A sentence as Markdown that shows itself: no links, pictures or formulas from a foreign text."""
    return re.sub(r"([\\`*_{}\[\]()<>#|~$:!&])", r"\\\1", sentence)


def labelled(sentence: str, controls: Sequence[Control]) -> str:
    """A sentence that begins with a field's name ("n_train: ..."), beginning with its control's label instead."""
    field, colon, rest = sentence.partition(":")
    labels = {c.name: c.label for c in controls}
    label = labels.get(field.split(".")[0])
    return f"{label}:{rest}" if colon and label else sentence


def _sentence(control: Control, error: Exception) -> str:
    said = str(error)
    return said if said.startswith(f"{control.name}:") else f"{control.name}: {said}"
