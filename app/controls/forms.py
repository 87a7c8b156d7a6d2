"""A control, and the three forms of its value: plain data (spec and charts), text (URL), and what its widget holds.

`FORMS` maps each kind of control to the conversions between them. Nothing here imports Streamlit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ntk_core.data.references import OWN, check_reference

MAX_POINTS = 64

_INTEGER = re.compile(r"[+-]?[0-9]{1,12}")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


@dataclass(frozen=True)
class Control:
    """One control.

    Attributes:
        name: field of the spec (or option of the chart), and parameter of the URL.
        kind: a key of `FORMS`.
        label: what it is called on the page.
        help: one or two sentences for the tooltip.
        group: "main", "advanced" or "chart"; the controls of "chart" are options and not part of the spec.
        options: for choices, value -> label; for lists of whole numbers, the values on offer.
        limits: (lowest, highest) for numbers; for a text, of its length.
        step: the widget's step.
        default: only for options of a chart; the spec knows its own defaults.
        shown_if: shows the control only where this function of the other values says so.
        filled: what it shall hold where it comes into view and holds nothing, from the values before.
    """

    name: str
    kind: str
    label: str
    help: str = ""
    group: str = "main"
    options: Mapping[Any, str] = field(default_factory=dict)
    limits: tuple[float, float] = (-math.inf, math.inf)
    step: float | None = None
    default: Any = None
    shown_if: Callable[[Mapping[str, Any]], bool] | None = None
    filled: Callable[[Mapping[str, Any]], Any] | None = None

    def shown(self, values: Mapping[str, Any]) -> bool:
        """Whether these values show the control."""
        return self.shown_if is None or self.shown_if(values)


def _integer(text: str, control: Control) -> int:
    if not _INTEGER.fullmatch(text.replace(",", "")):
        raise ValueError(f"must be a whole number, got {shortened(text)}")
    return _within(int(text.replace(",", "")), control)


def _real(text: str, control: Control) -> float:
    if not _REAL.fullmatch(text) or not math.isfinite(float(text)):
        raise ValueError(f"must be a finite number, got {shortened(text)}")
    return _within(float(text), control)


def _within(value: Any, control: Control) -> Any:
    low, high = control.limits  # the widgets do not hold to them: what is typed beyond comes here and is answered
    if not low <= value <= high:
        raise ValueError(f"must be between {low:,g} and {high:,g}, got {value:,}")
    return value


def _choice(text: str, control: Control) -> Any:
    for value in control.options:
        if str(value) == text:
            return value
    raise ValueError(f"must be one of {', '.join(map(str, control.options))}, got {shortened(text)}")


def _data(text: str, control: Control) -> str:
    """One of the options, or the reference to a table of one's own."""
    if not text.startswith(OWN):
        return str(_choice(text, control))
    return check_reference(text, tuple(map(str, control.options)), control.name)


def _toggle(text: str, control: Control) -> bool:
    if text not in ("0", "1"):
        raise ValueError(f"must be 1 (on) or 0 (off), got {shortened(text)}")
    return text == "1"


def _integers(text: str, control: Control) -> tuple[int, ...]:
    return tuple(_integer(part.strip(), control) for part in text.split(",")) if text.strip() else ()


def _reals(text: str, control: Control) -> tuple[float, ...]:
    return tuple(_real(part.strip(), control) for part in text.split(",")) if text.strip() else ()


def _choices(text: str, control: Control) -> tuple[Any, ...]:
    return _chosen(text.split(",") if text.strip() else (), control)


def _chosen(items: Iterable[Any] | None, control: Control) -> tuple[Any, ...]:
    """What is chosen, in the order of what is on offer."""
    found = [_choice(str(item).strip(), control) for item in items or ()]
    return tuple(sorted(found, key=list(control.options).index))


def _pairs(text: str, control: Control) -> tuple[tuple[float, float], ...]:
    """Points written as "angle:target, angle:target"; a new line parts them as well as a comma."""
    parts = [part.strip() for part in re.split(r"[,;\n]", text) if part.strip()]
    if len(parts) > MAX_POINTS:
        raise ValueError(f"at most {MAX_POINTS} points are allowed, got {len(parts)}")
    return tuple(_pair(part, control) for part in parts)


def _pair(part: str, control: Control) -> tuple[float, float]:
    halves = part.split(":")
    if len(halves) != 2:
        raise ValueError(f"a point is written angle:target, such as 0.5:-0.2, got {shortened(part)}")
    first, second = (_real(half.strip(), control) for half in halves)
    return first, second


def _text(text: str, control: Control) -> str:
    """One line of a bounded length; what it means the spec knows."""
    found = text.strip()
    low, high = control.limits
    if not low <= len(found) <= high:
        raise ValueError(f"must have {low:g} to {high:g} characters, got {len(found):,}")
    if not found.isprintable():
        raise ValueError(f"must be one line of plain text, got {shortened(found)}")
    return found


def _number(value: float) -> str:
    return repr(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


@dataclass(frozen=True)
class Form:
    """Conversions of one kind; `parse` and `from_widget` raise a ValueError that says what is wrong."""

    parse: Callable[[str, Control], Any]
    text: Callable[[Any], str]
    to_widget: Callable[[Any], Any] = lambda value: value
    from_widget: Callable[[Any, Control], Any] = lambda value, control: value


def _widths_from_widget(chosen: Iterable[Any], control: Control) -> tuple[int, ...]:
    return tuple(_integer(str(item).strip(), control) for item in chosen)


def _reals_from_widget(chosen: Iterable[Any], control: Control) -> tuple[float, ...]:
    return tuple(_real(str(item).strip(), control) for item in chosen)


_pairs_text: Callable[[Any], str] = lambda points: ",".join(f"{_number(a)}:{_number(b)}" for a, b in points)  # noqa: E731
_integers_text: Callable[[Any], str] = lambda items: ",".join(map(str, items))  # noqa: E731

FORMS: dict[str, Form] = {
    "integer": Form(_integer, str, int, lambda value, c: _within(int(value), c)),
    "slider": Form(_integer, str, int, lambda value, c: _within(int(value), c)),
    "real": Form(_real, _number, float, lambda value, c: _within(float(value), c)),
    "real_slider": Form(_real, _number, float, lambda value, c: _within(float(value), c)),
    "choice": Form(_choice, str, from_widget=lambda value, c: _choice(str(value), c)),
    "segments": Form(_choice, str, from_widget=lambda value, c: _choice(str(value), c)),
    "data": Form(_data, str, from_widget=lambda value, c: _data(str(value), c)),
    "toggle": Form(_toggle, lambda value: "1" if value else "0", bool, lambda value, c: bool(value)),
    "widths": Form(_integers, _integers_text, lambda value: [f"{n:,}" for n in value], _widths_from_widget),
    "pills": Form(_integers, _integers_text, list, lambda value, c: tuple(sorted(value or ()))),
    "reals": Form(
        _reals, lambda items: ",".join(map(_number, items)), lambda value: list(map(_number, value)), _reals_from_widget
    ),
    "choices": Form(_choices, _integers_text, list, _chosen),
    "text": Form(_text, str, str, _text),
    "points": Form(_pairs, _pairs_text, lambda value: _pairs_text(value).replace(",", "\n"), _pairs),
}


def shortened(text: str, length: int = 40) -> str:
    """A foreign text for use in a sentence: quoted, on one line, never long."""
    shown = repr(text[:length])
    return shown[:-1] + "…" + shown[-1] if len(text) > length else shown
