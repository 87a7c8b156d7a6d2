"""The script that Streamlit runs at every interaction: the frame around the pages, then the page."""

from __future__ import annotations

import sys
from pathlib import Path

# Streamlit puts this folder on the path; the packages `app` and `ntk_core` are in the one above it.
sys.path[:0] = [root for root in [str(Path(__file__).absolute().parents[1])] if root not in sys.path]

import streamlit as st  # noqa: E402

from app import views  # noqa: E402
from app.views import frame  # noqa: E402

frame.draw()
page = st.navigation(views.sections(), position="top")
frame.mark(page.title)
page.run()
