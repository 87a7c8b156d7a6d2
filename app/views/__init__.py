"""The pages, one module each, found by what they offer; and what all pages are made of.

This room is not called `pages`: Streamlit takes a folder of that name beside its script for a list of scripts.

A page offers TITLE, ORDER (its place in the navigation), ICON and `render()`. The first in order is the home page.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import ModuleType

import streamlit as st
from streamlit.navigation.page import Page

_PAGES = "navigation"  # in the session

FIGURES = 3  # the last place in the order that a figure of the paper has


@functools.cache
def modules() -> dict[str, ModuleType]:
    """Every page's module by name, in order; looked for once."""
    rooms = {m.name: importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)}
    found = {name: module for name, module in rooms.items() if hasattr(module, "TITLE")}
    return dict(sorted(found.items(), key=lambda item: (item[1].ORDER, item[0])))


def pages() -> dict[str, Page]:
    """Every page as Streamlit's navigation wants it, by name, made once a session; the first is what the bare address
    shows.
    """
    if _PAGES not in st.session_state:
        found = modules()
        first = next(iter(found))
        st.session_state[_PAGES] = {name: _page(name, module, name == first) for name, module in found.items()}
    return st.session_state[_PAGES]


def sections() -> dict[str, list[Page]]:
    """The pages as the navigation shows them: Home and the paper's figures at once, the others in a menu."""
    found = modules()
    made = pages()
    return {
        "": [made[name] for name, module in found.items() if module.ORDER <= FIGURES],
        "Beyond the figures": [made[name] for name, module in found.items() if module.ORDER > FIGURES],
    }


def _page(name: str, module: ModuleType, first: bool) -> Page:
    return st.Page(module.render, title=module.TITLE, icon=module.ICON, url_path=None if first else name, default=first)
