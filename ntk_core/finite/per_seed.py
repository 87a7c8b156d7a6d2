"""Some seeds of an ensemble by themselves, and back among the others."""

from __future__ import annotations

import copy
from typing import Any, Self

from torch import Tensor


class PerSeed:
    """Holds arrays whose first dimension is the seeds S: itself, in lists, or in other such holders."""

    def part(self, index: Tensor) -> Self:
        """The seeds (K,) by themselves, their arrays copied; what is no array is shared."""
        return self._with({name: _taken(value, index) for name, value in vars(self).items()})

    def merged(self, index: Tensor, part: Self) -> Self:
        """The same, with the seeds (K,) as a part now has them; no array is written into."""
        return self._with({name: _merged(value, index, getattr(part, name)) for name, value in vars(self).items()})

    def _with(self, values: dict[str, Any]) -> Self:
        made = copy.copy(self)
        vars(made).update(values)
        return made


def _taken(value: Any, index: Tensor) -> Any:
    if isinstance(value, Tensor):
        return value[index.to(value.device)]
    if isinstance(value, list):
        return [_taken(each, index) for each in value]
    return value.part(index) if isinstance(value, PerSeed) else value


def _merged(value: Any, index: Tensor, part: Any) -> Any:
    if isinstance(value, Tensor):
        return value.index_copy(0, index.to(value.device), part)
    if isinstance(value, list):
        return [_merged(each, index, other) for each, other in zip(value, part, strict=True)]
    return value.merged(index, part) if isinstance(value, PerSeed) else value
