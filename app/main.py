"""The script that Streamlit runs at every interaction: the frame around the pages, then the page."""

from __future__ import annotations

import sys
from pathlib import Path

# Streamlit puts this folder on the path; the packages `app` and `ntk_core` are in the one above it.
sys.path[:0] = [root for root in [str(Path(__file__).resolve().parents[1])] if root not in sys.path]

import streamlit as st  # noqa: E402

from app import views  # noqa: E402

ICON = Path(__file__).parents[1] / "assets" / "icon.svg"

st.set_page_config(page_title="NTK Explorer", page_icon=str(ICON), layout="wide", initial_sidebar_state="auto")
st.logo(str(ICON), size="large")
st.html(Path(__file__).parent / "views" / "page.css")
st.navigation(views.sections(), position="top").run()
