"""What stands around every page: the browser's title and icon, and the style sheet; read once, sent at each run."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import streamlit as st

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
