"""The blocks that a kernel matrix is computed in."""

from __future__ import annotations

Block = tuple[slice, slice]


def blocks(rows: int, columns: int, size: int, symmetric: bool = False) -> list[Block]:
    """Blocks of about size x size that cover a matrix, or those on and above the diagonal of a symmetric one."""
    across = _cuts(columns, size)
    down = across if symmetric else _cuts(rows, size)
    return [(r, c) for i, r in enumerate(down) for j, c in enumerate(across) if not symmetric or j >= i]


def _cuts(length: int, size: int) -> list[slice]:
    """Slices of nearly equal length, `size` at most."""
    count = -(-length // size)
    return [slice(i * length // count, (i + 1) * length // count) for i in range(count)]
