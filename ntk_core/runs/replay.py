"""A script that computes a spec's numbers again, without the dashboard."""

from __future__ import annotations

import pprint
from typing import TYPE_CHECKING

from ntk_core.runs.provenance import versions

if TYPE_CHECKING:
    from ntk_core.runs.spec import ExperimentSpec

_SCRIPT = '''\
"""Computes the run {key} of NTK Explorer again, and writes it as netCDF beside this script.

Needs ntk_core with the dashboard's packages: pip install ".[app]" in a copy of NTK Explorer.
Made with {versions}. The same packages, device and number of threads give the same numbers to the last digit; others
differ by rounding, which training may amplify.
"""

import sys
from pathlib import Path

from ntk_core import experiments
from ntk_core.runs.files import to_netcdf

KEY = "{key}"
SPEC = {fields}

spec = experiments.parse(SPEC)
if spec.key != KEY:
    print("This version of ntk_core gives other numbers than the one that wrote this script.", file=sys.stderr)
if experiments.runs(spec.experiment):
    found = experiments.compute(spec, lambda result, progress: print(f"\\r{{progress:4.0%}}", end="", file=sys.stderr))
    print(file=sys.stderr)
else:
    found = experiments.load(spec.experiment).theory(spec)
path = Path(__file__).with_name(f"{{spec.key}}.nc")
path.write_bytes(to_netcdf(found))
print(path)
'''


def script(spec: ExperimentSpec) -> str:
    """A Python script that replays the spec with `ntk_core` and writes `KEY.nc` next to itself."""
    fields = pprint.pformat(spec.model_dump(mode="json"), width=100, sort_dicts=False)
    return _SCRIPT.format(key=spec.key, versions=versions(), fields=fields)
