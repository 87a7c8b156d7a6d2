"""The chart component: several panels, redrawn in place from pictures of the limit and from a run's event stream."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import streamlit as st

from app.charts import Panel
from app.web.resources import CHART_SCRIPT, PLOTLY_VERSION, chart_script_version

# What is sent at each run of a page is only this; the script itself the browser asks for once.
_LOADER = """
export default function (component) {
  const { base, script } = component.data[0]
  const place = component.parentElement.querySelector(".ntk-live")
  let leave = null, left = false
  import(`${window.location.origin}${base}${script}`).then(
    (chart) => { if (!left) leave = chart.default(component) },
    () => { place.textContent = "The charts could not be loaded. Reload the page."; place.dataset.failed = "" },
  )
  return () => { left = true; if (leave) leave() }
}
"""

_component = st.components.v2.component(
    "ntk_live_chart",
    html='<div class="ntk-live">\n</div>',
    css=(Path(__file__).parent / "live_chart.css").read_text(encoding="utf-8"),
    js=_LOADER,
    isolate_styles=False,
)


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
    limit: str,
    *,
    run: Mapping[str, Any] | None = None,
    call: str = "",
    facts: str = "",
    start: int = 0,
    loop: bool = False,
    clickable: bool = False,
    moving: bool = True,
    downloads: Sequence[Mapping[str, str]] = (),
) -> dict[str, float] | None:
    """Shows an experiment's panels, a time bar and the run's progress.

    Args:
        page: names the place on the page; panels are built anew when it changes.
        key: the spec's key. While it stays the same, zoom and frames are kept.
        panels: what to show, in order.
        limit: where the pictures of the limit alone are (`app.web.limit_pictures.address`).
        run: {"key", "url", "viewer", "quiet", "ended", "action"} of a run to follow, or None; of an ended one only
            the last frame is drawn until another is asked for. `action` is what the page's button says.
        call: what "Train" would do, said until there is a run that was asked for; "" where nothing can be trained.
        facts: a line under the panels.
        start: which of the limit's pictures to show first.
        loop: plays the frames again and again once the run has ended.
        moving: whether a run has more moments than one, so that there is a time to choose.
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
                "script": f"{CHART_SCRIPT}?v={chart_script_version()}",
                "plotly": f"/ntk/plotly.min.js?v={PLOTLY_VERSION}",
                "limit": limit,
                "run": dict(run) if run else None,
                "call": call,
                "facts": facts,
                "start": start,
                "loop": loop,
                "clickable": clickable,
                "moving": moving,
                "downloads": [dict(file) for file in downloads],
            }
        ],
        on_point_change=lambda: None,
        on_ended_change=lambda: None,  # a run has finished: the script runs once more
    )
    return result.point
