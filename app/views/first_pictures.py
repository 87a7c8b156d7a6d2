"""What pages show at first: their heading and their main picture under the default settings, networks included."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app import charts, views
from app.charts.still import still
from app.views import home
from app.web.shared_engine import engine
from ntk_core import experiments
from ntk_core.runs.spec import ExperimentSpec

if TYPE_CHECKING:
    from app.views.experiment_page import View
    from app.web.first_sight import FirstSight

logger = logging.getLogger(__name__)

SKETCH_SECONDS = 20.0  # for networks that are shown unasked; without them a page starts as Streamlit's do
VIEWER = "first sight"


def prepare(kept: FirstSight) -> None:
    """Draws them, a page after the other; EngineError where nobody computes."""
    movie = home.movie()
    panel = charts.load(movie.experiment).PANELS["f"]
    if picture := _picture(movie, "f", {}):
        kept.put("", home.HEADING, home.SENTENCE, panel.title, picture, alone=True)
    for name, module in views.modules().items():
        if not hasattr(module, "VIEW"):
            continue
        view: View = module.VIEW
        spec = experiments.load(name).Spec(experiment=name)
        options = {c.name: c.default for c in view.table if c.group == "chart"}
        main, panel = next((n, p) for n, p in charts.load(name).PANELS.items() if p.place in ("main", "wide"))
        if picture := _picture(spec, main, options, view.start):
            kept.put(name, view.title, view.sentence, panel.title, picture)


def _picture(
    spec: ExperimentSpec, panel: str, options: dict[str, Any], start: Callable[[int], int] = lambda count: 0
) -> str | None:
    """A panel with the networks that are shown unasked, or with the limit alone; `start` says at which moment."""
    theory, sketch = engine().preview(spec).theory, engine().sketch(spec, VIEWER)
    if sketch is not None:
        with sketch.watch(VIEWER):
            sketch.wait(SKETCH_SECONDS)
        if sketch.state != "finished":
            reason = sketch.error or f"its networks are {sketch.state} after {SKETCH_SECONDS:g} s"
            logger.warning("the page %s starts without a picture: %s", spec.experiment, reason)
            return None
    entry, moments = charts.Entry(spec, theory, sketch.result if sketch else None), charts.moments(spec, theory)
    last = float(sketch.result.times[-1]) if sketch else math.inf  # that its networks have been seen at
    figure = charts.draw((entry,), min(moments[start(len(moments))], last), options, (panel,)).get(panel)
    return still(figure) if figure else None
