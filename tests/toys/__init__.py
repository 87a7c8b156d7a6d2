"""Adds the toy experiments to the registry: here when imported, on the workers as a Dask preload."""

from pathlib import Path

from ntk_core import experiments

FOLDER = str(Path(__file__).parent / "experiments")

if FOLDER not in experiments.__path__:
    experiments.__path__.append(FOLDER)
