"""An installed library, used from another folder: complete, typed, and without the dashboard."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pip has installed the library to, from a copy of what the project ships."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "ntk_core", source / "ntk_core", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True)
    return target


def run_elsewhere(site: Path, folder: Path, code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


def test_the_digits_come_along(site, tmp_path):
    code = "import ntk_core; from ntk_core.data import digits; print(ntk_core.__file__, len(digits.batch(7).labels))"
    assert run_elsewhere(site, tmp_path, code).split() == [str(site / "ntk_core" / "__init__.py"), "7"]


def test_it_is_typed_and_leaves_the_dashboard_out(site):
    assert (site / "ntk_core" / "py.typed").exists()
    assert {p.name for p in site.iterdir() if not p.name.endswith(".dist-info")} == {"ntk_core"}


def test_the_core_asks_for_torch_numpy_and_scipy_alone(site, tmp_path):
    code = (
        "import sys\n"
        "others = ('pydantic', 'distributed', 'dask', 'msgpack', 'psutil', 'xarray', 'pandas', 'streamlit', 'plotly')\n"
        "sys.modules.update(dict.fromkeys(others))\n"  # importing one of them raises now
        "import ntk_core\n"
        "print(len([getattr(ntk_core, name) for name in ntk_core.__all__]))"
    )
    assert int(run_elsewhere(site, tmp_path, code)) >= 18
