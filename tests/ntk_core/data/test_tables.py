"""Columns as data: choosing, classes, scaling, and the sentences for what cannot be learned from."""

import subprocess
import sys

import numpy as np
import pytest

from ntk_core.data import choose, encode, parse

TEXT = """x1,x2,twin,flat,kind,score
1,10,1,7,cat,0.5
2,30,2,7,dog,1.5
4,20,4,7,cat,-1.0
3,50,3,7,eel,2.0
"""
RAW = parse(TEXT)


def test_by_default_the_last_column_is_the_target():
    table = choose(parse("a,b,y\n1,2,3\n4,5,-6\n"))
    np.testing.assert_array_equal(table.inputs, [[1, 2], [4, 5]])
    np.testing.assert_array_equal(table.targets, [3, -6])
    np.testing.assert_array_equal(table.labels, [1, -1])
    assert (table.input_names, table.target_names, table.classes, table.notes) == (("a", "b"), ("y",), (), ())


def test_words_are_classes():
    table = choose(RAW, ["x1", "x2"], "kind")
    assert table.classes == ("cat", "dog", "eel")
    np.testing.assert_array_equal(table.labels, [0, 1, 0, 2])
    np.testing.assert_allclose(table.targets, np.eye(3)[[0, 1, 0, 2]] - 1 / 3)
    hot = choose(RAW, ["x1"], "kind", encoding="one_hot")
    np.testing.assert_array_equal(hot.targets, np.eye(3)[[0, 1, 0, 2]])


def test_numbers_are_classes_on_request():
    table = choose(parse("x,digit\n1,7\n2,3\n3,7\n"), target="digit", classes=True)
    assert table.classes == ("3", "7")
    np.testing.assert_array_equal(table.targets, [1, -1, 1])


def test_several_targets_are_several_outputs():
    table = choose(RAW, ["x1"], ["x2", "score"])
    np.testing.assert_array_equal(table.targets, [[10, 0.5], [30, 1.5], [20, -1], [50, 2]])


@pytest.mark.parametrize("scale", [1.0, 1e200, 1e-200])
def test_standardized(scale):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 3)) * [1, 5, 0.1] + [0, 100, -3]
    raw = parse("a,b,c\n" + "\n".join(",".join(repr(float(v * scale)) for v in row) for row in X))
    table = choose(raw, standardized=True, standardized_target=True)
    expected = (X - X.mean(0)) / X.std(0)
    np.testing.assert_allclose(np.column_stack([table.inputs, table.targets]), expected, rtol=1e-9, atol=1e-11)


def test_on_the_sphere():
    table = choose(RAW, ["x1", "x2"], "score", sphere=True)
    np.testing.assert_allclose(np.linalg.norm(table.inputs, axis=1), 1, rtol=1e-15)
    np.testing.assert_allclose(table.inputs[0], np.array([1, 10]) / np.sqrt(101))
    both = choose(RAW, ["x1", "x2"], "score", sphere=True, standardized=True).inputs
    standard = choose(RAW, ["x1", "x2"], "score", standardized=True).inputs
    np.testing.assert_allclose(both, standard / np.linalg.norm(standard, axis=1, keepdims=True))


def test_what_is_worth_knowing_is_noted():
    notes = choose(RAW, ["x1", "twin", "flat"], "score").notes
    assert any("'x1', 'twin' are equal" in note for note in notes)
    assert any("'flat'" in note and "same value" in note for note in notes)
    conflict = choose(parse("x,y\n1,2\n1,3\n2,2\n")).notes
    assert len(conflict) == 1
    assert "same input with different targets" in conflict[0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"inputs": ["nope"]}, "^columns: there is no column 'nope'; the table has 'x1'"),
        ({"inputs": []}, "^inputs: no column is chosen"),
        ({"target": []}, "^target: no column is chosen"),
        ({"inputs": ["x1", "x1"]}, "^inputs: the column 'x1' is chosen twice"),
        ({"inputs": ["x1", "score"]}, "^inputs: the column 'score' is the target"),
        ({"inputs": ["kind"]}, "^columns: 'kind' cannot be an input: it holds words such as 'cat'"),
        ({"inputs": ["flat"]}, "^inputs: every row is the same"),
        ({"inputs": ["x1", "flat"], "standardized": True}, "^inputs: 'flat' is constant and cannot be standardized"),
        ({"inputs": ["x1"], "target": "flat"}, "^target: 'flat' is 7 in every row"),
        ({"inputs": ["x1"], "target": "flat", "classes": True}, r"^target: 'flat' has one class \('7'\)"),
        ({"inputs": ["x1"], "target": "kind", "classes": False}, "^columns: 'kind' cannot be a numeric target"),
        ({"inputs": ["x1"], "target": ["kind", "score"]}, "^columns: 'kind' cannot be a numeric target"),
        ({"inputs": ["x1"], "target": ["x2", "score"], "classes": True}, "^target: classes are the values of one"),
        ({"inputs": ["x1"], "target": "kind", "encoding": "signs"}, "^encoding: signs are for two classes"),
        ({"inputs": ["x1"], "target": "kind", "encoding": "words"}, "^encoding: must be one of"),
    ],
)
def test_bad_choices_are_named(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        choose(RAW, **arguments)


@pytest.mark.parametrize(
    ("text", "arguments", "sentence"),
    [
        ("1\n2\n3\n", {}, "^columns: the table has one column"),
        ("1|2\n3|4\n5|6\n", {}, "^columns: the table has one column"),
        ("x,y\n1,2\n3,nan\n", {}, "^columns: 'y' cannot be a numeric target: it holds 'nan' in line 3"),
        ("x,y\n=cmd(),2\n3,4\n", {}, "^columns: 'x' cannot be an input: it holds '=cmd.*' in line 2, which is a form"),
        ("x,y\n1,a\n3,=b\n", {"classes": True}, "^target: 'y' cannot name classes: it holds '=b' in line 3, which is"),
        ("x,y\n1,a\n3,a\n", {}, "^target: 'y' has one class"),
        ("x,y\n1,1\n1e30,2\n", {}, "^inputs: 'x' reaches 1e.30, at most 1e.09 is allowed; standardize"),
        ("x,y\n1,1\n2,-1e30\n", {}, "^target: 'y' reaches 1e.30, at most"),
        ("x,y\n0,1\n1,2\n", {"sphere": True}, "^inputs: the row in line 2 is zero in every input"),
        ("x,y\n" + "".join(f"{i},{i}\n" for i in range(200)), {"classes": True}, "has 200 different values"),
        ("x,y\n" + "".join(f"{i},w{i}\n" for i in range(1200)), {}, "more than 1,000 different words"),
    ],
)
def test_bad_tables_are_named(text, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        choose(parse(text), **arguments)


def test_no_input_makes_numpy_warn():
    """Nor gives another direction, though squares and sums of these numbers overflow."""
    with np.errstate(all="raise", under="ignore"):
        table = choose(parse("a,b,y\n1e308,-1e308,1\n-1e308,1e308,2\n5,1e-300,3\n"), standardized=True, sphere=True)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(table.inputs, [[half, -half], [-half, half], [1, 0]], rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(table.targets, [1, 2, 3])


@pytest.mark.parametrize("count", [1, 101])
def test_too_few_or_too_many_classes(count):
    with pytest.raises(ValueError, match="target: between 2 and 100 classes"):
        encode(np.zeros(3, dtype=int), count)


def test_tables_load_without_pandas_and_torch():
    code = (
        "import sys; from ntk_core import data; "
        "data.TableStore('memory://x').put(data.choose(data.parse('x,y\\n1,2\\n3,4\\n'))); "
        "sys.exit(bool({'pandas', 'torch'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
