"""Controls: what a URL says becomes a spec or a sentence, and a spec becomes the same URL again."""

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import views
from app.controls import table as controls
from app.controls.forms import FORMS, Control
from app.views import presets
from ntk_core import experiments
from ntk_core import presets as library_presets

PAGES = [name for name, module in views.modules().items() if hasattr(module, "VIEW")]
TRAINED = ["circle", "function_space", "components"]  # pages whose controls are those of training


def table_of(page):
    return views.modules()[page].VIEW.table


def read(page, query):
    """A URL's parameters {name: text or list of texts} -> what came of them."""
    table = table_of(page)
    normal = controls.defaults(page, table)
    lists = {k: v if isinstance(v, list) else [v] for k, v in query.items()}
    values, problems = controls.from_query(table, lists, normal)
    resolved = controls.resolve(page, table, values, normal)
    return dataclasses.replace(resolved, problems=(*problems, *resolved.problems))


def test_pages_have_tables_in_their_order():
    assert PAGES[:3] == TRAINED
    orders = [views.modules()[page].ORDER for page in PAGES]
    assert orders == sorted(set(orders))


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_url_is_the_default_spec(page):
    resolved = read(page, {})
    assert resolved.spec == experiments.load(page).Spec()
    assert resolved.problems == ()


@pytest.mark.parametrize("page", PAGES)
def test_every_field_of_the_spec_is_a_control(page):
    fields = set(experiments.load(page).Spec.model_fields) - {"experiment", "angles"}
    assert fields <= {c.name for c in table_of(page) if c.group != "chart"}


@pytest.mark.parametrize("page", PAGES)
def test_defaults_and_limits_of_controls_agree_with_the_spec(page):
    table = table_of(page)
    for control, value in zip(table, controls.defaults(page, table).values(), strict=True):
        assert FORMS[control.kind].parse(FORMS[control.kind].text(value), control) == value, control.name


OTHER = {
    "depth": "7", "widths": "32,100000,77", "activation": "erf", "beta": "0.35", "seeds": "3", "learning_rate": "0.1",
    "time": "12.5", "rule": "momentum", "momentum": "0.25",
    "w_std": "1.5", "method": "steps", "weights": "dense", "tolerance": "0.125", "kernel_tolerance": "0.25",
    "precision": "float64", "device": "cpu", "snapshots": "9", "seed": "2147483647", "band": "1", "paper": "1",
}  # fmt: skip
OWN = {
    "circle": {"data": "circle", "n_train": "17", "data_seed": "5", "initial": "1", "nngp": "1"},
    "function_space": {
        "points": "custom", "custom": "0.5:-0.25,-3:2", "n_train": "5", "target": "sine", "output": "2", "gp": "1",
        "kernel": "matern", "length": "0.5", "nu": "2.5",
    },
    "components": {
        "data": "gaussian", "digits": "3,7", "n_train": "64", "component": "4", "scale": "0.75", "batch_seed": "8",
        "components_of": "network",
    },
}  # fmt: skip


def another(control, value):
    """Some other value that a control allows, as text."""
    if control.options and control.kind in ("choice", "segments"):
        return str(next((option for option in control.options if option != value), value))
    if control.kind == "toggle":
        return "0" if value else "1"
    if control.kind in ("integer", "slider", "real", "real_slider"):
        low, high = control.limits
        step = control.step or 1
        return FORMS[control.kind].text(value + step if value + step <= high else max(value - step, low))
    if control.kind in ("choices", "reals"):
        return FORMS[control.kind].text([option for option in control.options if option not in value][:2])
    return FORMS[control.kind].text(value)


@pytest.mark.parametrize("page", [page for page in PAGES if page not in TRAINED])
def test_each_control_of_the_other_pages_goes_to_the_url_and_to_its_widget_and_back(page):
    table = table_of(page)
    normal = controls.defaults(page, table)
    moved = 0
    for control in table:
        text = another(control, normal[control.name])
        resolved = read(page, {control.name: text})
        if resolved.problems:
            assert resolved.values == normal  # not alone: the sentence says with what
            continue
        back = controls.to_query(table, resolved.values, normal)
        assert back in ({control.name: text}, {})
        assert read(page, back) == resolved
        held = controls.to_widgets(table, resolved.values)
        assert controls.from_widgets(table, held, normal) == (resolved.values, [])
        moved += resolved.values != normal
    assert moved > len(table) / 2


@pytest.mark.parametrize("page", TRAINED)
def test_every_control_goes_to_the_url_and_back(page):
    query = OTHER | OWN[page]
    assert set(query) == {c.name for c in table_of(page)}
    resolved = read(page, query)
    assert resolved.problems == ()
    back = controls.to_query(table_of(page), resolved.values, controls.defaults(page, table_of(page)))
    assert back == query
    assert read(page, back) == resolved


@pytest.mark.parametrize("page", TRAINED)
def test_every_control_goes_to_its_widget_and_back(page):
    table, resolved = table_of(page), read(page, OTHER | OWN[page])
    held = controls.to_widgets(table, resolved.values)
    values, problems = controls.from_widgets(table, held, controls.defaults(page, table))
    assert values == resolved.values
    assert problems == []


HOSTILE = [
    ("depth", "0"), ("depth", "-1"), ("depth", "33"), ("depth", "4.5"), ("depth", "٤"), ("depth", ""),
    ("depth", "9" * 5000),
    ("beta", "nan"), ("beta", "NaN"), ("beta", "inf"), ("beta", "1e999"), ("beta", "-0.1"), ("beta", "0x1p3"),
    ("widths", ""), ("widths", "0"), ("widths", "1000000000"), ("widths", "10,10"), ("widths", "1,2,3,4,5,6,7"),
    ("widths", "100;rm -rf"), ("activation", "swish9"), ("activation", "<script>alert(1)</script>"),
    ("activation", "![x](http://example.org/x.png)"), ("activation", "relu\u202e"), ("seeds", "101"), ("seeds", "1_0"),
    ("seed", "2147483648"), ("learning_rate", "0"), ("learning_rate", "-1"), ("time", "1e999"), ("time", "-5"),
    ("time", "1e8"), ("rule", "adam"), ("tolerance", "0"), ("tolerance", "2"), ("kernel_tolerance", "0"),
    ("kernel_tolerance", "1.5"), ("snapshots", "1"), ("band", "yes"),
    ("band", "True"), ("precision", "float16"), ("device", "tpu"), ("seed", ["1", "2"]), ("widths", ["100", "100"]),
]  # fmt: skip


@pytest.mark.parametrize("page", TRAINED)
@pytest.mark.parametrize(("name", "text"), HOSTILE)
def test_a_bad_value_gets_one_sentence_and_falls_back_alone(page, name, text):
    good = {"activation": "tanh"} if name != "activation" else {"depth": "6"}
    resolved = read(page, {name: text, **good})
    assert len(resolved.problems) == 1
    assert resolved.problems[0].startswith(f"{name}:")
    assert len(resolved.problems[0]) < 300
    expected = read(page, good)
    assert resolved.values == expected.values
    assert resolved.spec == expected.spec


@pytest.mark.parametrize("page", PAGES)
def test_unknown_parameters_are_left_alone(page):
    assert read(page, {"utm_source": "x", "__proto__": "1", "experiment": "toy"}) == read(page, {})


def test_custom_points_are_checked():
    page = "function_space"
    assert read(page, {"points": "custom"}).problems[0].startswith("custom:")
    for text in ("1", "1:2:3", "a:b", "nan:1", "1:inf", ",".join(["1:1"] * 65), "99:0"):
        resolved = read(page, {"points": "custom", "custom": text})
        assert resolved.problems, text
        assert resolved.spec.points in ("paper", "custom")
    resolved = read(page, {"points": "custom", "custom": "0.5:1, -1:2\n3:0"})
    assert resolved.spec.custom == ((0.5, 1.0), (-1.0, 2.0), (3.0, 0.0))


def test_a_text_is_one_line_of_bounded_length_and_the_spec_reads_it():
    given_up = ("f -", "f\ng", "f\x00", "f" * 201, "   ", "g", "f\u202e - y")
    for text in given_up:
        resolved = read("any_cost", {"direction": text, "seeds": "2"})
        assert len(resolved.problems) == 1, text
        assert resolved.problems[0].startswith("direction:")
        assert resolved.values["direction"] == experiments.load("any_cost").Spec().direction
        assert resolved.spec.seeds == 2
    resolved = read("any_cost", {"direction": " f**3 - y "})
    assert (resolved.problems, resolved.spec.direction) == ((), "f**3 - y")


def test_no_digit_is_an_empty_selection():
    resolved = read("components", {"digits": ""})
    assert len(resolved.problems) == 1
    assert resolved.problems[0].startswith("digits:")


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(OTHER | OWN["circle"])), st.text(max_size=30), max_size=6))
def test_no_text_at_all_breaks_a_page(query):
    resolved = read("circle", query)
    assert isinstance(resolved.spec, experiments.load("circle").Spec)
    back = controls.to_query(table_of("circle"), resolved.values, controls.defaults("circle", table_of("circle")))
    assert read("circle", back) == dataclasses.replace(resolved, problems=())


def test_widgets_that_lie_are_checked_too():
    table, normal = table_of("circle"), controls.defaults("circle", table_of("circle"))
    held = {"depth": 99, "beta": math.nan, "widths": ["500", "many"], "activation": "nope", "seeds": 4}
    values, problems = controls.from_widgets(table, held, normal)
    assert [p.split(":")[0] for p in problems] == ["depth", "widths", "activation", "beta"]
    assert values == normal | {"seeds": 4}


def test_lists_of_choices_and_of_numbers():
    choices = Control("p", "choices", "", options={"ntk": "N", "mup": "M", "sp": "S"})
    reals = Control("a", "reals", "", limits=(0.1, 10), options={1.0: "1"})
    assert FORMS["choices"].parse("mup, ntk", choices) == ("ntk", "mup")
    assert FORMS["choices"].from_widget(["sp", "ntk"], choices) == ("ntk", "sp")
    assert FORMS["choices"].from_widget(None, choices) == FORMS["choices"].parse("", choices) == ()
    assert FORMS["reals"].parse("1,0.25,1e1", reals) == (1.0, 0.25, 10.0)
    assert FORMS["reals"].to_widget((1.0, 0.25)) == ["1", "0.25"]
    assert FORMS["reals"].from_widget(["1", " 0.25"], reals) == (1.0, 0.25)
    for kind, control, text in (
        ("choices", choices, "ntk,gpt"), ("reals", reals, "1,nan"), ("reals", reals, "0"), ("reals", reals, "1,,2"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"^must be "):
            FORMS[kind].parse(text, control)


def test_plain_text_cannot_be_markdown():
    shown = controls.plain("![a](http://x) <b> $x$ :material/home: **bold** `code`")
    assert shown == r"\!\[a\]\(http\://x\) \<b\> \$x\$ \:material/home\: \*\*bold\*\* \`code\`"
    assert controls.plain("nothing to hide, 3.5") == "nothing to hide, 3.5"


@pytest.mark.parametrize("preset", presets.load(), ids=lambda preset: preset.name)
def test_presets_are_valid_and_complete(preset):
    normal = controls.defaults(preset.page, table_of(preset.page))
    resolved = controls.resolve(preset.page, table_of(preset.page), normal | preset.values, normal)
    assert resolved.problems == ()
    assert resolved.spec == library_presets.get(preset.name).spec  # else its recording would not be found
    assert library_presets.get(preset.name).options.items() <= resolved.options.items()


def test_a_preset_with_an_option_that_its_page_does_not_have():
    wrong = dataclasses.replace(library_presets.get("figure1"), options={"band": True, "depth": 3, "fog": True})
    with pytest.raises(ValueError, match=r"^figure1.json: the page circle has no option depth, fog"):
        presets.of_page(wrong)
