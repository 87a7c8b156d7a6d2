"""A table of one's own, from a visitor's bytes to the spec that learns from it."""

from __future__ import annotations

import numpy as np
import pytest

from ntk_core import data, experiments
from ntk_core.engine import data_jobs

TABLE = b"length,width,kind\n5.1,3.5,setosa\n4.9,3.0,setosa\n7.0,3.2,versicolor\n6.4,3.2,versicolor\n6.3,3.3,other\n"
CHOICES = {"inputs": ["length", "width"], "target": "kind", "standardized": True}


def test_what_a_table_holds():
    found = data_jobs.look(TABLE)
    assert (found["rows"], found["error"]) == (5, "")
    assert [(c["name"], c["kind"]) for c in found["columns"]] == [
        ("length", "numbers"), ("width", "numbers"), ("kind", "words"),
    ]  # fmt: skip
    assert found["first"][2] == ["7", "3.2", "versicolor"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "table: it is empty; at least two rows of numbers are needed"),
        (b"PK\x03\x04 a spreadsheet", "table: this is a spreadsheet or zip file"),
        (b"1,2\n1,2,3\n", "table: line 2 "),
    ],
)
def test_what_is_no_table_gets_its_sentence(engine, content, sentence):
    with pytest.raises(ValueError, match=sentence):
        engine.own_data.look(content)


def test_a_column_that_cannot_be_an_input_is_named(engine):
    with pytest.raises(ValueError, match=r"'kind'"):
        engine.own_data.keep(TABLE, {"inputs": ["length", "kind"], "target": "width"})


def test_a_kept_table_is_what_the_components_learn_from(engine):
    kept = engine.own_data.keep(TABLE, CHOICES)
    assert (kept["rows"], kept["classes"]) == (5, ["other", "setosa", "versicolor"])
    spec = experiments.parse({"experiment": "components", "data": kept["reference"], "n_train": 5, "component": 2})
    found = engine.preview(spec)
    assert found.theory.info["classes"] == kept["classes"]
    sample = data.resolve(kept["reference"], 5, seed=spec.batch_seed)
    np.testing.assert_array_equal(found.theory["label"], sample.labels)
    # the sum of the eigenvalues of Theta/N is the mean of Theta on the diagonal
    from ntk_core import Architecture, limiting_kernels

    ntk = limiting_kernels(Architecture(spec.depth, 1, activation="relu", beta=0.1, n_in=2), sample.inputs).ntk
    assert float(np.sum(found.theory["values"])) == pytest.approx(float(ntk.diagonal().mean()))
    networks = experiments.compute(spec.model_copy(update={"widths": (20,), "seeds": 1, "time": 10.0}))
    assert np.isfinite(networks["g"]).all()


def test_a_kept_table_is_told_apart_by_the_limit_and_by_networks(engine):
    rng = np.random.default_rng(0)
    centres = {"a": (2, 0), "b": (-2, 0), "c": (0, 2)}
    rows = [(*rng.normal(centres[k], 0.3), k) for k in "abc" * 10]
    content = "x,y,kind\n" + "\n".join(f"{x:.4f},{y:.4f},{k}" for x, y, k in rows)
    kept = engine.own_data.keep(content.encode(), {"inputs": ["x", "y"], "target": "kind"})
    spec = experiments.parse({
        "experiment": "spectral", "data": kept["reference"], "n_labelled": 20, "n_test": 10, "widths": [100],
        "seeds": 1, "time": 200.0, "learning_rate": 0.1,
    })  # fmt: skip
    assert engine.preview(spec).theory["accuracy"][-1] == 1.0
    assert experiments.compute(spec)["accuracy"][-1, 0, 0] == 1.0


def test_points_of_the_plane_are_what_the_circles_networks_learn(engine):
    kept = engine.own_data.keep(b"x,y,f\n1,2,0.5\n2,3,-1\n4,1,0.2\n", {"inputs": ["x", "y"], "target": "f"})
    spec = experiments.parse({"experiment": "circle", "data": kept["reference"], "n_train": 3})
    theory = engine.preview(spec).theory
    sample = data.resolve(kept["reference"], 3, seed=spec.data_seed)
    np.testing.assert_array_equal(theory["train_x"], sample.inputs)
    np.testing.assert_array_equal(theory["train_y"], sample.targets)
    kept = engine.own_data.keep(b"x,f\n1,0.5\n2,-1\n4,0.2\n", {"inputs": ["x"], "target": "f"})
    with pytest.raises(ValueError, match="points of the plane"):
        engine.preview(spec.model_copy(update={"data": kept["reference"]}))


def test_numbers_are_not_classes_and_a_table_has_an_end(engine):
    kept = engine.own_data.keep(b"x,y\n1,2\n2,3\n4,1\n", {"inputs": ["x"], "target": "y"})
    for fields, sentence in (
        ({"n_labelled": 2, "n_test": 1}, "data: the target of this table is a number"),
        ({"n_labelled": 3, "n_test": 1}, "n_labelled: 3 points to learn from and 1 others were asked for; there are 3"),
    ):
        with pytest.raises(ValueError, match=sentence):
            engine.preview(experiments.parse({"experiment": "spectral", "data": kept["reference"]} | fields))


def test_a_link_whose_table_is_gone_says_so(engine):
    spec = experiments.parse({"experiment": "components", "data": "own:" + "0" * 32, "n_train": 5})
    with pytest.raises(ValueError, match="the table that this link names is gone"):
        engine.preview(spec)


def test_more_points_than_rows_are_refused(engine):
    kept = engine.own_data.keep(TABLE, CHOICES)
    spec = experiments.parse({"experiment": "components", "data": kept["reference"], "n_train": 6})
    with pytest.raises(ValueError, match="the table has 5 rows"):
        engine.preview(spec)


@pytest.mark.parametrize(
    "bad", ["own:../../etc/passwd", "own:", "file:///etc/passwd", "OWN:" + "0" * 32, "own:" + "G" * 32]
)
def test_hostile_references_are_refused(bad):
    with pytest.raises(ValueError, match="names no data"):
        experiments.parse({"experiment": "components", "data": bad})
