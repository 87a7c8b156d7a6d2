"""A page's first answer: Streamlit's own HTML with what the page will show already in it.

GET {base}/, {base}/circle, ...     Streamlit's index.html; a page under its default settings with its heading and its
                                    main picture, networks included, which stands until the charts have drawn theirs

Streamlit's scripts take seconds to start on a slow machine, and the charts' come after them; this needs none. What it
shows is drawn once, when the server has started; until then, and for other settings, pages start as Streamlit's do.
Every page's HTML also says what is an entry in the browser's history (history.js) and when a phone's sidebar goes
(sidebar.js).
"""

from __future__ import annotations

import functools
import gzip
import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st
from starlette.routing import Route
from streamlit import file_util

from app.charts.still import plain
from app.web.served import packed_answer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

CSS = Path(__file__).with_name("first_sight.css")
SCRIPTS = tuple(Path(__file__).with_name(name) for name in ("history.js", "sidebar.js"))
NAME = "NTK Explorer"
SURFACES = {
    "paper": "backgroundColor", "ink": "textColor", "edge": "borderColor", "side": "secondaryBackgroundColor",
}  # fmt: skip
STILL = """
<div id="ntk-still" class="{place}" aria-hidden="true">
  <style>{style}</style>
  <div class="note">NTK Explorer is starting…</div>
  <h3>{heading}</h3>
  <p>{sentence}</p>
  <figure><figcaption>{title}</figcaption>{picture}</figure>
</div>
<script>{script}</script>
"""
# Gone when the charts have drawn theirs, when the page has something to say instead, or when it takes too long.
SCRIPT = """
(() => {
  const still = document.getElementById("ntk-still"), began = performance.now()
  try { // the theme that a visitor has chosen here, as Streamlit remembers it; "System" and none are the system's
    const chosen = `stActiveTheme-${location.pathname}-v`
    for (const [key, value] of Object.entries(localStorage))
      if (key.startsWith(chosen)) still.dataset.theme = value.replaceAll('"', "")
  } catch { /* a browser that keeps nothing */ }
  const look = () => {
    const there = document.querySelector(".ntk-live:is([data-drawn], [data-failed]), .stAlert, .stException")
    if (there || performance.now() - began > 20000) still.remove()
    else setTimeout(look, 60)
  }
  look()
})()
"""


class FirstSight:
    """What pages show at first, and the routes of the pages that do.

    Args:
        names: of the pages; "" is the home page.
    """

    def __init__(self, names: list[str]):
        self.names = names
        self._pages: dict[str, bytes] = {}

    def put(self, name: str, heading: str, sentence: str, title: str, picture: str, *, alone: bool = False) -> None:
        """Keeps what a page shows at first.

        Args:
            name: of the page.
            heading, sentence: of the page.
            title: of the picture.
            picture: HTML, of `app.charts.still`.
            alone: the page has neither a sidebar nor a button above the picture.
        """
        still = STILL.format(
            place="ntk-still-alone" if alone else "",
            style=f"{_colours()}\n{CSS.read_text(encoding='utf-8')}",
            heading=html.escape(heading),
            sentence=html.escape(sentence),
            title=plain(title),
            picture=picture,
            script=SCRIPT,
        )
        self._pages[name] = gzip.compress(_index().replace("<body>", f"<body>{still}", 1).encode(), 6)

    def routes(self, base: str) -> list[Route]:
        """The pages under the path `base`."""
        return [Route(f"{base}/{name}", functools.partial(self._answer, name)) for name in self.names]

    async def _answer(self, name: str, request: Request) -> Response:
        page = self._pages.get(name) if not request.url.query else None
        return packed_answer(request, page or _plain_page(), "text/html", "no-cache")


def _colours() -> str:
    """The colours of Streamlit's theme (.streamlit/config.toml), each light and dark."""

    def both(option: str) -> list[Any]:
        return [st.get_option(f"theme.{theme}.{option}") for theme in ("light", "dark")]

    pairs = {name: both(option) for name, option in SURFACES.items()}
    pairs |= {f"c{k}": list(pair) for k, pair in enumerate(zip(*both("chartCategoricalColors"), strict=True))}
    return "#ntk-still { " + " ".join(f"--ntk-{k}: light-dark({u}, {v});" for k, (u, v) in pairs.items()) + " }"


@functools.cache
def _plain_page() -> bytes:
    return gzip.compress(_index().encode(), 6)


@functools.cache
def _index() -> str:
    """Streamlit's page, by our name from the start, and with our rules for the browser."""
    text = (Path(file_util.get_static_dir()) / "index.html").read_text(encoding="utf-8")
    scripts = "".join(f"<script>{script.read_text(encoding='utf-8')}</script>" for script in SCRIPTS)
    return text.replace("<title>Streamlit</title>", f"<title>{NAME}</title>{scripts}", 1)
