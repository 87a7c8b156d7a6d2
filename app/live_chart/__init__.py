"""The chart component: several panels, redrawn in place from theory at hand and from a run's event stream."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import streamlit as st

from app.charts import Figure, Panel, arrays
from app.web.resources import PLOTLY_VERSION

_HERE = Path(__file__).parent
_SCRIPTS = (  # parts of one script
    "mount.js", "panels.js", "legend.js", "arrays.js", "events.js", "stream.js", "time_bar.js", "downloads.js",
    "theme.js",
)  # fmt: skip

_component = st.components.v2.component(
    "ntk_live_chart",
    html='<div class="ntk-live">\n</div>',
    css=(_HERE / "live_chart.css").read_text(encoding="utf-8"),
    js="\n".join((_HERE / name).read_text(encoding="utf-8") for name in _SCRIPTS),
    isolate_styles=False,
)


@dataclass(frozen=True)
class Moments:
    """Frames as the component and the stream know them, their arrays by name. Treat what is inside as frozen."""

    frames: list[dict[str, Any]]
    arrays: dict[str, Any]


def moments(captions: Sequence[str], figures: Sequence[Mapping[str, Figure]]) -> Moments:
    """The moments of theory alone, one caption and one figure a panel each."""
    rows = zip(captions, figures, strict=True)
    frames = [{"index": i, "caption": caption, "panels": panels} for i, (caption, panels) in enumerate(rows)]
    return Moments(*arrays.shared(frames))


def run_address(key: str, options: Mapping[str, Any], attempt: str = "", of: str = "") -> str:
    """Where the frames of a run come from; another attempt at the same run has another address, so it is read anew.

    `of` is the key of the spec whose limit is drawn, where it is not the run's own.
    """
    text = json.dumps(dict(options), sort_keys=True, separators=(",", ":"))
    other = f"&of={quote(of)}" if of and of != key else ""
    return f"/ntk/runs/{quote(key)}/stream?options={quote(text)}&attempt={quote(attempt)}{other}"


def live_chart(
    page: str,
    key: str,
    panels: Mapping[str, Panel],
    theory: Moments,
    *,
    run: Mapping[str, Any] | None = None,
    facts: str = "",
    start: int = 0,
    loop: bool = False,
    clickable: bool = False,
    downloads: Sequence[Mapping[str, str]] = (),
) -> dict[str, float] | None:
    """Shows an experiment's panels, a time bar and the run's progress.

    Args:
        page: names the place on the page; panels are built anew when it changes.
        key: the spec's key. While it stays the same, zoom and frames are kept.
        panels: what to show, in order.
        theory: what is at hand, drawn at once.
        run: {"key", "url", "viewer", "quiet"} of a run to follow, or None.
        facts: a line that stays in sight under the panels.
        start: which theory frame to show first.
        loop: plays the frames again and again once the run has ended.
        clickable: lets a click on a clickable panel name a point.
        downloads: {"label", "url"} of files that the page offers.

    Returns:
        the point {"x", "y"} that was clicked just now, in the axes' units, else None.
    """
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    result = _component(
        key=f"live_chart_{page}",
        # In a list: Streamlit would import pandas to see whether a value of a dictionary is a table.
        data=[
            {
                "page": page,
                "key": key,
                "base": f"/{base}" if base else "",
                "panels": [{"name": name, **panel.plain()} for name, panel in panels.items()],
                "plotly": f"/ntk/plotly.min.js?v={PLOTLY_VERSION}",
                "theory": theory.frames,
                "arrays": theory.arrays,
                "run": dict(run) if run else None,
                "facts": facts,
                "start": start,
                "loop": loop,
                "clickable": clickable,
                "downloads": [dict(file) for file in downloads],
            }
        ],
        on_point_change=lambda: None,
    )
    return result.point
