"""Recordings of the paper's figures: kept under their keys, and found again by running again, at a reduced size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ntk_core import experiments, presets, recordings
from ntk_core.runs import lockstep
from ntk_core.runs.store import Store
from tests.ntk_core.runs.results import finished

REDUCED = {
    "figure1": {"widths": [20, 100], "seeds": 2, "n_train": 20, "time": 20.0},
    "figure2": {"widths": [20, 100], "seeds": 2, "time": 50.0},
    "figure3": {"widths": [20, 64], "n_train": 32, "time": 100.0, "components_of": "limit"},
}


def reduced(name: str):
    fields = presets.get(name).spec.model_dump(mode="json")
    return experiments.parse(fields | {"snapshots": 4} | REDUCED[name])


@pytest.mark.parametrize("name", REDUCED)
def test_running_again_gives_the_same_numbers(name, tmp_path, capsys, monkeypatch):
    """To the last bit here; within the tolerance on a machine that rounds differently, as inputs moved by that do."""
    spec, store = reduced(name), Store(str(tmp_path))
    assert recordings.record(store, name, spec) == 0
    assert recordings.check(store, name, spec) == 0
    assert set(capsys.readouterr().out.splitlines()[1].split()[2::2]) == {"0.0e+00,", "0.0e+00"}
    train = lockstep.train

    def rounded(network, X, *more, **options):
        noise = np.random.default_rng(1).standard_normal(X.shape)
        return train(network, X * (1 + 3e-7 * noise), *more, **options)

    monkeypatch.setattr(lockstep, "train", rounded)
    away = recordings.differences(store.load(spec), experiments.compute(spec))
    assert 0.0 < max(away.values()) < recordings.TOLERANCE / 5  # five times the room that this size needs


def test_a_recording_that_differs_is_told(tmp_path, capsys, monkeypatch):
    spec, store = reduced("figure2"), Store(str(tmp_path))
    assert recordings.check(store, "figure2", spec) == 1
    assert "figure2: there is no recording" in capsys.readouterr().err
    recordings.record(store, "figure2", spec)
    other = store.load(spec)
    other.values["f"][-1] *= 1.01
    monkeypatch.setattr(experiments, "compute", lambda spec, tell: other)
    assert recordings.check(store, "figure2", spec) == 1


def test_differences():
    left, right = finished(), finished()
    assert set(recordings.differences(left, right).values()) == {0.0}
    right.values["cost"][0, 0, 0] += 0.5
    assert recordings.differences(left, right)["cost"] == pytest.approx(
        0.5 / left["cost"][np.isfinite(left["cost"])].max()
    )
    right.values["kernel"][0, 0, 0, 0] = np.nan
    assert recordings.differences(left, right)["kernel"] == np.inf


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(presets, "load", lambda: ())
    assert recordings.main([str(tmp_path), "figure9"]) == 2
    assert "preset: 'figure9' is not known" in capsys.readouterr().err


def test_every_preset_has_a_recording_of_these_very_fields():
    """Whoever changes a preset, a spec's fields or what they mean runs `make recordings`."""
    shipped = Store(str(Path(__file__).parents[2] / "assets" / "recordings"), frozen=True)
    for preset in presets.load():
        result = shipped.load(preset.spec)
        assert result is not None, preset.name
        assert result.present.all()
        assert not result["diverged"].any()
        assert (shipped.load_theory(preset.spec) is not None) == experiments.is_slow(preset.spec)
    assert len(list(Path(shipped.url).iterdir())) == 4


def test_a_slow_limit_is_kept_beside_its_result(tmp_path, caplog):
    spec, store = (
        reduced("figure3").model_copy(update={"components_of": "network", "n_train": 16}),
        Store(str(tmp_path)),
    )
    assert store.load_theory(spec) is None
    theory = experiments.load("components").theory(reduced("figure3"))
    store.save_theory(spec, theory)
    again = store.load_theory(spec)
    assert again.info == theory.info
    assert all(np.array_equal(again[name], theory[name], equal_nan=True) for name in theory.arrays)
    path = tmp_path / f"{spec.key}.theory"
    whole = path.read_bytes()
    for end in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        assert store.load_theory(spec) is None
        assert "is not used" in caplog.text
