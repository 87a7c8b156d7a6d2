"""Data sets: inputs and targets made here, the digits that come with the library, tables of one's own. NumPy only."""

from ntk_core.data.parsing import RawTable, parse
from ntk_core.data.references import OWN, PICTURES, Sample, available, check_reference, keep, resolve
from ntk_core.data.stored import GoneError, TableStore, digest
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
from ntk_core.data.tables import ENCODINGS, MAX_OUTPUTS, Encoding, Table, choose, encode

__all__ = [
    "ENCODINGS",
    "MAX_OUTPUTS",
    "OWN",
    "PICTURES",
    "TARGETS",
    "Encoding",
    "Floats",
    "GoneError",
    "RawTable",
    "Sample",
    "Table",
    "TableStore",
    "angle_grid",
    "available",
    "check_reference",
    "choose",
    "circle",
    "circle_target",
    "conflict_sentence",
    "conflicts",
    "digest",
    "encode",
    "even_angles",
    "gaussian_product",
    "keep",
    "paper_points",
    "parse",
    "resolve",
    "table",
]
