"""What a chart draws: a spec, what the limit says of it, and what its networks have found so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ntk_core.runs.result import Result
    from ntk_core.runs.theory import Theory


@dataclass(frozen=True)
class Entry:
    """One of the things that a chart lays over each other; usually it is alone.

    Attributes:
        spec, theory: an experiment's spec, and its limit.
        result: what its networks have found, or None.
        label: stands before the name of its curves where there are several entries.
        first: how many curves' colours the entries before it have taken.
    """

    spec: Any
    theory: Theory
    result: Result | None = None
    label: str = ""
    first: int = 0

    def named(self, name: str) -> str:
        """The name of a curve of this entry."""
        return f"{self.label}: {name}" if self.label else name

    def index(self, time: float) -> int:
        """The last of its output times that is not after `time`; pictures of several entries meet by time."""
        return -1 if self.result is None else self.result.index_of(time)

    def there(self, time: float) -> bool:
        """Whether any network has been seen at or before `time`."""
        return self.result is not None and any(self.result.begun(k) for k in range(self.index(time) + 1))

    def now(self, name: str, time: float) -> np.ndarray:
        """A variable (width, seed, ...) at `time`."""
        assert self.result is not None
        return self.result.now(name, self.index(time))

    def until(self, name: str, time: float) -> np.ndarray:
        """A variable's history (width, seed, time) up to `time`."""
        assert self.result is not None
        return self.result.until(name, self.index(time))

    def times(self, time: float) -> np.ndarray:
        """The output times up to `time`."""
        assert self.result is not None
        return self.result.times[: self.index(time) + 1]
