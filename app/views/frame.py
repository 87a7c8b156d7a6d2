"""What stands around every page: the browser's title and icon, and the style sheet; read once, sent at each run."""

from __future__ import annotations

import base64
import json
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import streamlit as st

from app import views
from app.controls.table import plain

_ICON = (Path(__file__).parents[2] / "assets" / "icon.svg").read_bytes()
ICON = f"data:image/svg+xml;base64,{base64.b64encode(_ICON).decode('ascii')}"
STYLE = f"<style>{(Path(__file__).parent / 'page.css').read_text(encoding='utf-8')}</style>"


def draw() -> None:
    """Draws the frame; before anything else of a page, and before the navigation: it would bring an icon of its own."""
    st.set_page_config(page_title="NTK Explorer", page_icon=ICON, layout="wide", initial_sidebar_state="auto")
    st.logo(ICON, size="large")
    st.html(STYLE)


def mark(title: str) -> None:
    """Says which page is shown, for page.css to mark it among all."""
    st.html(f"<style>:root {{ --ntk-page: {json.dumps(title)} }}</style>")


def answer_unknown(url: str | None) -> None:
    """Says so where an address names a page that there is not: Home is shown in its place."""
    name = PurePosixPath(unquote(urlsplit(url or "").path)).name
    base = PurePosixPath(str(st.get_option("server.baseUrlPath") or "")).name
    if name and name != base and name not in views.pages():
        there = ", ".join(page.title for page in views.pages().values())
        st.warning(plain(f"There is no page {name[:40]!r}; this is the first of {there}."), icon=":material/link_off:")
