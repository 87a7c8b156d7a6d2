"""The engine: experiments run on Dask workers, in this machine's child processes or on a cluster, and stream back."""

from ntk_core.engine.engine import Engine
from ntk_core.engine.errors import EngineError
from ntk_core.engine.limits import Limits
from ntk_core.engine.previews import Preview
from ntk_core.engine.run import FINAL, Run

__all__ = ["FINAL", "Engine", "EngineError", "Limits", "Preview", "Run"]
