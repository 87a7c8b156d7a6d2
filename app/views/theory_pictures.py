"""Pictures of theory alone, drawn once for all visitors and reruns that show the same."""

from __future__ import annotations

import json
import math
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app import charts
from app.live_chart import Moments, moments
from app.views import phrases

if TYPE_CHECKING:
    from ntk_core.runs.theory import Theory

KEPT = 16 << 20  # characters

_lock = threading.Lock()
_drawn: OrderedDict[tuple, tuple[Moments, int]] = OrderedDict()


def get(
    spec: Any,
    theory: Theory,
    options: Mapping[str, Any],
    *,
    panels: Sequence[str] | None = None,
    finite: bool = False,
    timed: bool = True,
) -> Moments:
    """All moments that the limit can show; `finite` leaves infinity out, `timed` has a clock even for one moment."""
    key = (spec.key, json.dumps(dict(options), sort_keys=True, default=str), panels, finite, timed)
    with _lock:
        if key in _drawn:
            _drawn.move_to_end(key)
            return _drawn[key][0]
    made = _draw(spec, theory, options, panels, finite, timed)
    size = len(json.dumps(made.frames)) + sum(len(array["bdata"]) for array in made.arrays.values())
    with _lock:
        _drawn[key] = made, size
        while sum(size for _, size in _drawn.values()) > KEPT and len(_drawn) > 1:
            _drawn.popitem(last=False)
    return made


def _draw(
    spec: Any, theory: Theory, options: Mapping[str, Any], panels: Sequence[str] | None, finite: bool, timed: bool
) -> Moments:
    times = [t for t in charts.moments(spec, theory) if not finite or math.isfinite(t)]
    entries = (charts.Entry(spec, theory),)
    shown = timed or len(times) > 1
    captions = [phrases.theory_clock(spec, times, i) if shown else "" for i in range(len(times))]
    return moments(captions, [charts.draw(entries, t, options, panels) for t in times])
