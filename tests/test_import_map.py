"""The map of imports: who may import whom, and that nothing imports in a circle, typing and functions included."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the ground up: a room imports from rooms before it, from its own, and from the ground that is below it.
CORE_ORDER = (
    ("progress", "device", "threads", "eigen", "products", "rules", "costs", "directions", "caches", "_lazy", "py"),
    ("duals",),
    ("activations",),
    ("architecture",),
    ("data",),
    ("finite", "limit"),
    ("training",),
    ("runs",),
    ("experiments",),
    ("presets", "progress_bar", "interrupts"),
    ("recordings",),
    ("engine",),
    ("run_command",),
    ("__main__",),
)
FORBIDDEN_IN_CORE = ("app", "streamlit", "plotly")


def modules(package: str) -> dict[str, Path]:
    """Every module of a package by its dotted name; a room is named by its `__init__`."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> set[str]:
    """Dotted names that a file's import statements mention, wherever they stand."""
    out = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            out |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            out |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return out


def graph(package: str) -> dict[str, set[str]]:
    """Which module imports which. A name that a room hands on counts as what the room's `__init__` imports."""
    known = modules(package)
    inner = {name for name, path in known.items() if path.name != "__init__.py"}

    def reached(name: str) -> set[str]:
        asked = imports(known[name])
        rooms = {i.rpartition(".")[0] for i in asked if i not in known} & (known.keys() - inner)
        return (asked | set().union(*(imports(known[room]) for room in rooms))) & inner - {name}

    return {name: reached(name) for name in inner}


def circle(edges: dict[str, set[str]]) -> list[str]:
    """One circle of imports, or an empty list."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in sorted(edges[name]):
            if found := visit(other, [*path, name]):
                return found
        done.add(name)
        return []

    for name in sorted(edges):
        if found := visit(name, []):
            return found
    return []


@pytest.mark.parametrize("package", ["ntk_core", "app"])
def test_nothing_imports_in_a_circle(package):
    assert circle(graph(package)) == []


def test_a_circle_would_be_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def test_a_lower_room_never_imports_a_higher_one():
    place = {room: level for level, rooms in enumerate(CORE_ORDER) for room in rooms}
    known = modules("ntk_core")
    wrong = [
        f"{name} imports {other}"
        for name, path in known.items()
        for other in imports(path)
        if name != "ntk_core" and other in known and other != "ntk_core" and _level(place, other) > _level(place, name)
    ]
    assert wrong == []


def _level(place: dict[str, int], module: str) -> int:
    return place[module.split(".")[1]]


@pytest.mark.parametrize("name", sorted(modules("ntk_core")))
def test_the_library_does_not_know_the_dashboard(name):
    assert not {i.split(".")[0] for i in imports(modules("ntk_core")[name])} & set(FORBIDDEN_IN_CORE)
