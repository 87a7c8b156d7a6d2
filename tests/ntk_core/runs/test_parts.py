"""Parts of runs: their names, their way over the wire, and how units are dealt out."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntk_core.runs.parts import Part, spread, units


def test_a_name_is_its_content_and_not_its_cost():
    part = Part("width 8", ({"width": 0, "seed": (0, 4)},), seconds=1.0, fields={"k": 1})
    assert part.name == Part("other words", part.places, seconds=9.0, fields={"k": 1}).name
    assert part.name != Part(part.label, ({"width": 0, "seed": (0, 5)},), fields={"k": 1}).name
    assert part.name != Part(part.label, part.places, fields={"k": 2}).name
    assert len(part.name) == 12


def test_the_wire_changes_nothing():
    part = Part("width 8", ({"width": 0, "seed": (0, 4)}, {"time": 2}), 1.5, {"at_most_seconds": 0.5})
    back = Part.from_json(part.to_json())
    assert back == part
    assert back.name == part.name


def of(seeds, batches, costs):
    groups = [SimpleNamespace(batch=b, seconds=c) for b, c in zip(batches, costs, strict=True)]
    spec = SimpleNamespace(seeds=seeds, widths=tuple(range(8, 8 + len(groups))))
    return spec, SimpleNamespace(groups=groups)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.integers(1, 5), st.floats(1e-3, 100.0)), min_size=1, max_size=4),
    st.integers(1, 9),
)
def test_every_network_is_dealt_out_once_and_nobody_has_two_more_than_needed(seeds, groups, workers):
    spec, plan = of(seeds, *zip(*groups, strict=True))
    everything, parts = units(spec, plan), spread(spec, plan, workers)
    assert len(parts) == min(workers, len(everything))
    cells = sorted((p["width"], k) for part in parts for p in part.places for k in range(*p["seed"]))
    assert cells == [(i, k) for i in range(len(groups)) for k in range(seeds)]
    # Whoever ends last took the last unit with the least to do: at most the average before it, and then that unit.
    longest, total = max(u.seconds for u in everything), sum(u.seconds for u in everything)
    assert max(part.seconds for part in parts) <= (total - longest) / len(parts) + longest + 1e-9
    assert sum(part.seconds for part in parts) == pytest.approx(sum(u.seconds for u in everything))


def test_units_do_not_depend_on_workers():
    spec, plan = of(10, (4, 3), (1.0, 5.0))
    one, four = (
        {(p["width"], p["seed"]) for part in spread(spec, plan, n) for p in part.places} for n in (1, 100)
    )  # fmt: skip
    assert four == {(u.width_index, (u.first, u.last)) for u in units(spec, plan)}
    assert {(w, k) for w, (a, b) in one for k in range(a, b)} == {(w, k) for w, (a, b) in four for k in range(a, b)}
