"""Data sets: inputs and targets made here, the digits that come with the library. NumPy only."""

from ntk_core.data.synthetic import (
    TARGETS,
    Floats,
    angle_grid,
    circle,
    circle_target,
    conflict_sentence,
    conflicts,
    even_angles,
    gaussian_product,
    paper_points,
    table,
)

__all__ = [
    "TARGETS",
    "Floats",
    "angle_grid",
    "circle",
    "circle_target",
    "conflict_sentence",
    "conflicts",
    "even_angles",
    "gaussian_product",
    "paper_points",
    "table",
]
