"""Charts: the numbers drawn are the snapshot's, every axis and curve is named, and no user interface is imported."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from plotly import graph_objects
from plotly.offline import get_plotlyjs_version
from scipy.stats import chi2

from app import charts
from app.charts import arrays, paper, style
from app.web import resources
from ntk_core import experiments, presets
from tests.app import synthetic

NAMES = ("circle", "function_space", "components")


# What of the papers' settings is no default, nor a size that plays no part.
PAPERS = {
    "circle": {"n_train": 100, "time": 200.0},
    "function_space": {"time": 1000.0},
    "components": {"n_train": 512, "time": 2000.0},
}


def spec_of(name, **fields):
    return experiments.parse({"experiment": name, "widths": [50, 1000], "seeds": 4, "snapshots": 6, **fields})


def numbers(array):
    """The numbers behind an array's token."""
    return arrays.numbers(array)


def close(found, wanted):
    """16-bit numbers are right to a part in 60,000 of their range: finer than any screen."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=np.ptp(np.asarray(wanted)) / 60_000 + 1e-7)


def curves(trace):
    """(x, y) of every curve of a trace that joins several with gaps."""
    x, y = numbers(trace["x"]), numbers(trace["y"])
    ends = np.flatnonzero(np.isnan(x))
    return tuple([part[:-1] for part in np.split(values, ends + 1)[:-1]] for values in (x, y))


def coloured(figure):
    """With a colour wherever the browser puts one of its theme: "@ink", "@c2/0.3"."""
    return json.loads(re.sub(r'"@(ink|muted|grid|paper|c[0-5])(/[0-9.]+)?"', '"#000"', json.dumps(figure)))


def named(figure, start):
    found = [trace for trace in figure["data"] if trace["name"].startswith(start)]
    assert found, f"no curve is named {start}..."
    return found[0]


def pictures(spec, result, time, options=None, theory=None):
    """Figures as Plotly reads them, by panel."""
    entries = charts.side_by_side([charts.Entry(spec, theory or synthetic.theory(spec), result)])
    return {name: arrays.expanded(figure) for name, figure in charts.draw(entries, time, options).items()}


def drawn(spec, index=3, missing=0, **options):
    result = synthetic.result(spec, index, missing=missing)
    return result, pictures(spec, result, spec.times[index], options)


def test_the_script_that_draws_is_of_the_version_that_checks_the_figures():
    assert get_plotlyjs_version() == resources.PLOTLY_VERSION


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("index", [None, 0, 3])
@pytest.mark.parametrize("options", [{}, {"band": True, "paper": True, "initial": True, "nngp": True, "gp": True}])
def test_every_panel_is_there_named_and_plain_json(name, index, options):
    spec = spec_of(name)
    result = None if index is None else synthetic.result(spec, index)
    figures = pictures(spec, result, spec.times[index or 0], options)
    assert list(figures) == list(charts.load(name).PANELS)
    json.dumps(figures, allow_nan=False)
    for panel, figure in figures.items():
        graph_objects.Figure(coloured(figure))  # raises where plotly.js knows no such attribute or value
        for axis in ("xaxis", "yaxis"):
            assert figure["layout"][axis]["title"]["text"], (panel, axis)
        for trace in figure["data"]:
            assert trace["name"], panel


@pytest.mark.parametrize(("name", "panel"), [("circle", "peak"), ("circle", "cost"), ("components", "g")])
@pytest.mark.parametrize("band", [False, True])
def test_what_is_seen_of_one_moment_is_dots_on_the_axis_of_all(name, panel, band):
    spec = spec_of(name)
    for index, mode in ((0, "lines+markers"), (3, "lines")):
        figure = drawn(spec, index, band=band)[1][panel]
        whose = [t for t in figure["data"] if t["name"].startswith("n = ") and t["line"]["width"]]
        assert {t["mode"] for t in whose} == {mode}
        assert len({t["name"] for t in whose}) == len(spec.widths)
        assert figure["layout"]["xaxis"]["range"] == [0, spec.time]


@pytest.mark.parametrize("name", NAMES)
def test_panels_have_titles_and_words_for_those_who_cannot_see(name):
    panels = charts.load(name).PANELS.values()
    assert all(panel.title and len(panel.alt) > 30 for panel in panels)
    assert [panel.place for panel in panels].count("main") == 1


def test_units_and_symbols_are_on_the_axes():
    _, circle = drawn(spec_of("circle"))
    assert "γ (radians)" in circle["kernel"]["layout"]["xaxis"]["title"]["text"]
    assert circle["kernel"]["layout"]["yaxis"]["title"]["text"] == "Θₜ(x₀, x)"
    assert "steps × learning rate" in circle["peak"]["layout"]["xaxis"]["title"]["text"]
    assert "½ mean (f − f*)²" in circle["cost"]["layout"]["yaxis"]["title"]["text"]
    assert circle["kernel"]["layout"]["xaxis"]["ticktext"][-1] == "π"


def test_circle_draws_every_networks_kernel():
    spec = spec_of("circle")
    result, figures = drawn(spec)
    for i, name in enumerate(["n = 50", "n = 1,000"]):
        x, y = curves(named(figures["kernel"], name))
        assert len(y) == spec.seeds
        close(np.stack(y), result["kernel"][3, i])
        np.testing.assert_allclose(x[0], result["gamma"], atol=1e-6)
    limit = numbers(named(figures["kernel"], "limit")["y"])
    np.testing.assert_allclose(limit, synthetic.theory(spec)["ntk"], rtol=1e-6)


def test_circle_leaves_out_what_is_not_there_yet():
    _, figures = drawn(spec_of("circle"), missing=1)
    assert not [t for t in figures["kernel"]["data"] if t["name"].startswith("n = 1,000")]
    assert len(numbers(named(figures["spread"], "now")["x"])) == 1


def test_circle_band_is_mean_and_percentiles():
    result, figures = drawn(spec_of("circle"), band=True)
    kernel = result["kernel"][3, 0]
    close(curves(named(figures["kernel"], "n = 50: mean"))[1][0], kernel.mean(0))
    low, high = (curves(t)[1][0] for t in figures["kernel"]["data"] if t["name"] == "n = 50: 10–90 %")
    close(low, np.percentile(kernel, 10, axis=0))
    close(high, np.percentile(kernel, 90, axis=0))


def test_circle_spread_and_drift_against_width():
    result, figures = drawn(spec_of("circle"))
    now = named(figures["spread"], "now")
    np.testing.assert_array_equal(numbers(now["x"]), [50, 1000])
    np.testing.assert_allclose(numbers(now["y"]), result["peak"][3].std(1, ddof=1), rtol=1e-5)
    drift = numbers(named(figures["drift"], "now")["y"])
    np.testing.assert_allclose(drift, (result["peak"][3] / result["peak"][0] - 1).mean(1), rtol=1e-4)
    for panel, slope in (("spread", -0.5), ("drift", -1.0)):
        guide = named(figures[panel], "slope")
        x, y = np.log(numbers(guide["x"])), np.log(numbers(guide["y"]))
        assert (y[1] - y[0]) / (x[1] - x[0]) == pytest.approx(slope, abs=1e-4)
        assert figures[panel]["layout"]["xaxis"]["type"] == figures[panel]["layout"]["yaxis"]["type"] == "log"


def test_one_seed_has_no_spread_and_says_so():
    _, figures = drawn(spec_of("circle", seeds=1))
    assert figures["spread"]["data"] == []
    assert "two seeds" in figures["spread"]["layout"]["annotations"][0]["text"]


def test_a_spread_of_few_networks_has_its_interval():
    result, figures = drawn(spec_of("circle"))
    now = named(figures["spread"], "now, 90 % interval")
    std, seeds = result["peak"][3].std(1, ddof=1), result["peak"].shape[2]
    low, high = std * np.sqrt((seeds - 1) / chi2.ppf([[0.95], [0.05]], seeds - 1))
    np.testing.assert_allclose(now["error_y"]["arrayminus"], std - low, rtol=1e-5)
    np.testing.assert_allclose(now["error_y"]["array"], high - std, rtol=1e-5)
    assert "90 % interval" in now["hovertemplate"]
    assert "error_y" not in named(figures["spread"], "t = 0")
    assert "error_y" not in named(figures["drift"], "now")


def test_a_spread_and_a_drift_that_are_zero_are_not_waited_for():
    spec = spec_of("circle")
    result = synthetic.result(spec, 3)
    result["peak"][:] = 1.5
    figures = pictures(spec, result, spec.times[3])
    for panel in ("spread", "drift"):
        lines = figures[panel]["layout"]["annotations"][0]["text"].split("<br>")
        assert lines[0].startswith(f"The {panel} is exactly 0")
        assert max(map(len, lines)) <= style.ACROSS


def test_divergence_is_counted_in_the_name_and_breaks_nothing():
    spec = spec_of("circle")
    result = synthetic.result(spec, 3)
    result["kernel"][3, 0, 1] = np.inf
    result["peak"][2:, 0, 1] = np.inf
    for band in (False, True):
        figures = pictures(spec, result, spec.times[3], {"band": band})
        assert named(figures["kernel"], "n = 50 (1 diverged)")
        assert math.isfinite(figures["kernel"]["layout"]["yaxis"]["range"][1])
        json.dumps(figures, allow_nan=False)


def test_function_space_draws_networks_and_the_limits_percentiles():
    spec = spec_of("function_space")
    theory = synthetic.theory(spec)
    result, figures = drawn(spec)
    for i, name in enumerate(["n = 50", "n = 1,000"]):
        close(np.stack(curves(named(figures["f"], name))[1]), result["f"][3, i])
    low, high = (numbers(t["y"]) for t in figures["f"]["data"] if t["name"] == "limit: 10–90 %")
    np.testing.assert_allclose(high, theory["mean"][3] + 1.2815516 * theory["std"][3], rtol=1e-5)
    np.testing.assert_allclose(low, theory["mean"][3] - 1.2815516 * theory["std"][3], rtol=1e-5)
    np.testing.assert_allclose(
        numbers(named(figures["f"], "limit: median")["y"]), theory["mean"][3], rtol=1e-5, atol=1e-7
    )
    np.testing.assert_allclose(numbers(named(figures["f"], "training points")["y"]), theory["train_y"], rtol=1e-6)


def test_function_space_has_a_frame_for_every_time_and_infinity():
    spec = spec_of("function_space")
    theory = synthetic.theory(spec)
    times = charts.moments(spec, theory)
    assert times == (*spec.times, math.inf)
    last = pictures(spec, None, math.inf)
    np.testing.assert_allclose(
        numbers(named(last["f"], "limit: median")["y"]), theory["mean"][-1], rtol=1e-5, atol=1e-7
    )
    ranges = {tuple(pictures(spec, None, t)["f"]["layout"]["yaxis"]["range"]) for t in times}
    assert len(ranges) == 1  # the axis stands still while time runs


def test_networks_stand_beside_regression_with_their_own_kernels():
    spec = spec_of("function_space")
    result, figures = drawn(spec)
    for i, n in enumerate(("50", "1,000")):
        for label, name in (("trained", "f"), ("its kernel of t = 0", "own_start"), ("its kernel of now", "own_now")):
            trace = named(figures["own"], f"n = {n}: {label}")
            np.testing.assert_allclose(numbers(trace["y"]), result[name][3, i, 0], rtol=1e-6)
    assert named(figures["own"], "n = 50: its kernel of t = 0")["name"].endswith("(0.03 off)")
    assert named(figures["own"], "n = 50: its kernel of now")["name"].endswith("(0.01 off)")
    for time, found, words in ((0.0, None, "Networks stand here"), (math.inf, result, "No network has been there")):
        assert pictures(spec, found, time)["own"]["layout"]["annotations"][0]["text"].startswith(words)


def test_another_kernels_theory_has_its_name_and_the_limits_mean_beside():
    spec = spec_of("function_space", kernel="rbf")
    figures = pictures(spec, None, spec.times[3], {"gp": True}, theory=experiments.load("function_space").theory(spec))
    names = [trace["name"] for trace in figures["f"]["data"]]
    assert "RBF kernel: 10–90 %" in names
    assert "GP posterior with the RBF kernel as prior" in names
    assert named(figures["f"], "RBF kernel: median")
    assert named(figures["f"], "limit: mean")["line"]["dash"] == "dash"
    assert named(figures["cost"], "RBF kernel: expected")
    assert named(figures["fit"], "RBF kernel")


def test_the_gp_posterior_is_shown_only_when_asked_and_by_its_name():
    spec = spec_of("function_space")
    _, without = drawn(spec)
    _, with_gp = drawn(spec, gp=True)
    assert not [t for t in without["f"]["data"] if "GP" in t["name"]]
    assert named(with_gp["f"], "GP posterior with the NTK as prior")


def test_components_scatter_carries_the_pictures():
    spec = spec_of("components", digits=[1, 7], n_train=40)
    theory = synthetic.theory(spec)
    _, figures = drawn(spec)
    seen = {}
    for trace in figures["batch"]["data"]:
        assert trace["name"] in ("digit 1", "digit 7")
        for x, y, picture in zip(numbers(trace["x"]), numbers(trace["y"]), trace["customdata"], strict=True):
            seen[picture] = (x, y)
    np.testing.assert_array_equal([seen[i] for i in range(40)], np.stack([theory["x"], theory["y"]], 1))
    looks = {(t["marker"]["color"], t["marker"]["symbol"]) for t in figures["batch"]["data"]}
    assert len(looks) == 2
    assert charts.load("components").PANELS["batch"].pictures


def test_components_draws_g_h_and_the_limits_decay():
    spec = spec_of("components")
    result, figures = drawn(spec)
    for panel in ("g", "h"):
        lines = curves(named(figures[panel], "n = 1,000"))[1]
        np.testing.assert_array_equal(np.stack(lines), result[panel][:4, 1].T)
    np.testing.assert_allclose(numbers(named(figures["g"], "limit")["y"]), synthetic.theory(spec)["decay"], rtol=1e-6)
    np.testing.assert_array_equal(numbers(named(figures["h"], "limit: 0")["y"]), 0)
    of_network = spec_of("components", components_of="network")
    bend = numbers(named(drawn(of_network)[1]["h"], "limit")["y"])
    np.testing.assert_allclose(bend, synthetic.theory(of_network)["bend"], rtol=1e-6)
    assert bend[-1] > 0.01
    values = numbers(named(figures["values"], "limit")["y"])
    chosen = named(figures["values"], "limit, the chosen k = 2")
    assert numbers(chosen["x"]).tolist() == [2]
    shown = sorted([*values, *numbers(chosen["y"])])
    np.testing.assert_allclose(shown, sorted(synthetic.theory(spec)["values"]), rtol=1e-6)
    for i, n in enumerate(spec.widths):
        own = named(figures["values"], f"n = {n:,}")
        np.testing.assert_array_equal(numbers(own["y"]), result["eigenvalues"][0, i].ravel())
        assert own["customdata"] == np.floor(numbers(own["x"])).tolist() == [*range(1, 11)] * spec.seeds


@pytest.mark.parametrize(("name", "depth"), [("circle", 4), ("function_space", 4), ("components", 5)])
def test_the_papers_curves_stand_beside_the_papers_network_only(name, depth):
    for asked, ours in ((depth, True), (depth + 1, False)):
        _, figures = drawn(spec_of(name, depth=asked, **PAPERS[name]), paper=True)
        shown = any("paper" in t["name"] for figure in figures.values() for t in figure["data"])
        assert shown == ours


@pytest.mark.parametrize("other", [{"time": 50.0}, {"learning_rate": 0.5}, {"rule": "gradient_flow"}])
@pytest.mark.parametrize("figure", ["figure1", "figure2", "figure3"])
def test_another_time_rate_or_rule_is_not_the_papers(figure, other):
    name = {"figure1": "circle", "figure2": "function_space", "figure3": "components"}[figure]
    spec = presets.get(figure).spec
    assert spec.experiment == name
    assert paper.matches(spec, figure)
    assert not paper.matches(experiments.parse({**spec.model_dump(), **other}), figure)


def test_why_the_papers_curves_are_not_there_is_said():
    spec = presets.get("figure1").spec
    assert paper.differs(spec, "figure1") == ""
    other = experiments.parse({**spec.model_dump(), "n_train": 20, "data": "circle", "time": 50.0})
    assert paper.differs(other, "figure1") == (
        "The paper's own curves are not drawn, because they are of data: random inputs (here circle), N = 100 (here "
        "20), t = 200 (here 50)."
    )
    flow = experiments.parse({**presets.get("figure2").spec.model_dump(), "rule": "gradient_flow"})
    assert "rule gradient descent (here gradient flow)" in paper.differs(flow, "figure2")
    few = experiments.parse({**presets.get("figure3").spec.model_dump(), "digits": (3, 5)})
    assert "digits of all classes (here 3, 5)" in paper.differs(few, "figure3")


def test_the_papers_curves_say_their_time_and_its_marks_their_width():
    spec = spec_of("function_space", **PAPERS["function_space"])
    names = [t["name"] for t in pictures(spec, None, 0.0, {"paper": True})["f"]["data"] if "paper" in t["name"]]
    assert names == ["paper, n = 50, t = 1,000", "paper, n = 1,000, t = 1,000", "paper, percentiles, t = ∞"]
    spec = spec_of("components", depth=5, **PAPERS["components"])
    figures = pictures(spec, None, 0.0, {"paper": True})
    for panel in ("g", "h"):
        marks = [t for t in figures[panel]["data"] if "paper's" in t["name"]]
        assert [t["name"].rpartition("= ")[2] for t in marks] == ["100", "1,000", "10,000"]
        assert len({t["marker"]["symbol"] for t in marks}) == 3


@pytest.mark.parametrize("holes", [False, True])
def test_the_band_is_the_percentiles_of_the_networks_that_are_there(holes):
    networks = np.random.default_rng(0).normal(size=(7, 5))
    if holes:
        networks[2, :3] = np.nan
    low, high, _ = style.ensemble(networks, "n = 1", 0, True, lambda _, y: arrays.curves(np.arange(5), y), {})
    for trace, q in ((low, 10), (high, 90)):
        close(numbers(trace["curves"]["y"])[0], np.nanpercentile(networks, q, axis=0))


# Machado, Oliveira and Fernandes (2009): what remains of linear RGB without long, or without medium cones.
DEFICIENT = (
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
)
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(text, eye):
    """CIE Lab of a colour such as #0072B2, as an eye (3, 3) sees it."""
    srgb = np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    f = np.cbrt(XYZ @ np.clip(np.array(eye) @ linear, 0, 1) / XYZ.sum(1))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("eye", [np.eye(3), *DEFICIENT])
def test_the_six_colours_are_told_apart_by_any_eye(scheme, eye):
    script = (Path(charts.__file__).parents[1] / "live_chart/theme.js").read_text(encoding="utf-8")
    colours = [lab(c, eye) for c in re.findall(r"#\w+", re.search(rf"{scheme}: \[(.*?)\]", script)[1])]
    apart = [np.linalg.norm(a - b) for i, a in enumerate(colours) for b in colours[:i]]
    assert len(apart) == 15
    assert min(apart) > 14


@pytest.mark.parametrize("name", ["circle", "function_space", "components"])
def test_every_curve_of_networks_is_in_its_panels_legend(name):
    spec = spec_of(name)
    figures = pictures(spec, synthetic.result(spec, 3), spec.times[3])
    for panel, figure in figures.items():
        curves = [t for t in figure["data"] if t["name"].startswith("n = ")]
        assert all(t.get("showlegend", True) for t in curves), panel
    assert any(t["name"] == "n = 50" for t in figures["cost" if name != "components" else "h"]["data"])


def test_a_width_has_its_dashes_in_every_panel():
    spec = spec_of("function_space")
    figures = pictures(spec, synthetic.result(spec, 3), spec.times[3])
    for i, n in enumerate(("n = 50", "n = 1,000")):
        lines = [t for f in figures.values() for t in f["data"] if t["name"].startswith(n) and t["mode"] == "lines"]
        assert len(lines) == 4
        assert {t["line"]["dash"] for t in lines} == {style.DASHES[i]}


def test_widths_differ_in_colour_and_dash_or_marker():
    assert len(set(style.COLOURS)) == len(set(style.DASHES)) == len(set(style.MARKERS)) == 6


def test_captions():
    spec = spec_of("circle", learning_rate=0.5)
    assert charts.caption(spec, 1.5) == "t = 1.5 (3 steps × rate 0.5)"
    assert charts.caption(spec, math.inf) == "t = ∞"
    assert "flow" in charts.caption(spec_of("circle", rule="gradient_flow"), 2.0)


def test_an_unknown_experiment_is_named():
    with pytest.raises(ValueError, match="experiment: 'os' is not known"):
        charts.load("os")


def test_charts_import_no_user_interface():
    code = (
        "import sys, app.charts as c; [c.load(n) for n in c.experiments.names()];"
        "print([m for m in ('streamlit', 'plotly', 'torch', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_several_entries_meet_by_time_and_have_colours_and_names_of_their_own():
    spec, other = spec_of("function_space"), spec_of("function_space", activation="erf", snapshots=11, widths=[70])
    first, second = synthetic.result(spec, 5), synthetic.result(other, 10)
    entries = charts.side_by_side([
        charts.Entry(spec, synthetic.theory(spec), first, "relu"),
        charts.Entry(other, synthetic.theory(other), second, "erf"),
    ])  # fmt: skip
    time = spec.times[3]
    assert other.times[entries[1].index(time)] <= time < other.times[entries[1].index(time) + 1]
    figures = {name: arrays.expanded(figure) for name, figure in charts.draw(entries, time).items()}
    lines = [named(figures["f"], name) for name in ("relu: n = 50", "relu: n = 1,000", "erf: n = 70")]
    assert len({line["line"]["color"] for line in lines}) == 3
    close(np.stack(curves(lines[2])[1]), second["f"][entries[1].index(time), 0])
    assert named(figures["f"], "erf: limit: median")
    for figure in figures.values():
        graph_objects.Figure(coloured(figure))


def test_histories_and_curves_say_nothing_twice():
    """What a stream sends of a frame: x once, curves in 16 bits, of a history its newest column."""
    spec = spec_of("circle")
    result = synthetic.result(spec, 3)
    figures = charts.draw(charts.side_by_side([charts.Entry(spec, synthetic.theory(spec), result)]), spec.times[3])
    sent = arrays.newest(figures)
    column = named(sent["cost"], "n = 50")["history"]
    assert column["x"] == spec.times[3]
    np.testing.assert_array_equal(numbers(column["y"]), result["cost"][3, 0])
    kernel = named(sent["kernel"], "n = 50")["curves"]
    assert kernel["y"]["dtype"] == "i2"
    small, found = arrays.shared(sent)
    again, found_again = arrays.shared(sent)
    assert small == again
    assert found == found_again
    assert all(len(array["bdata"]) >= arrays.SMALL for array in found.values())


@pytest.mark.parametrize("values", [[0.0], [1.0, 1.0], [-3.0, np.nan, 5.0], [np.nan, np.inf], [1e-30, 2e30]])
def test_sixteen_bit_numbers_are_right_over_their_range(values):
    found, values = numbers(arrays.i2(np.array(values))), np.array(values)
    finite = np.isfinite(values)
    assert np.isnan(found[~finite]).all()
    if finite.any():
        close(found[finite], values[finite])


def test_the_summary_says_how_networks_were_trained():
    spec = spec_of("circle")
    result = synthetic.result(spec, 3)
    entry = charts.Entry(spec, synthetic.theory(spec), result)
    result["diverged"][3, 1, 2] = True
    words = charts.summary([entry], spec.times[3])
    assert words == (
        "n = 50: 3 leaps, error by leaping at most about 0.001 in f, 1 % in Θ; "
        "n = 1,000: 3 leaps, error by leaping at most about 0.001 in f, 1 % in Θ, diverged: seed 2"
    )
    result["walked"][3, 0, 1:] = 40.0
    assert charts.summary([entry], spec.times[3]).startswith("n = 50: 3 leaps and 0 to 40 steps, error by leaping")
    result["leaps"][:], result["error"][:] = 0.0, 0.0
    result["walked"][3] = 40.0
    assert charts.summary([entry], spec.times[3]).startswith("n = 50: 40 steps, all taken: exact")
    assert charts.summary([entry], 0.0) == ""


def test_a_rate_that_a_networks_own_kernel_does_not_bear_is_said():
    """At lambda = 2.5 the limit is 2 / 2.5 = 0.8 for plain steps, and 1.52 with a momentum of 0.9."""
    spec = experiments.load("circle").Spec(widths=(50, 1000), seeds=4, learning_rate=1.0)
    theory, result = synthetic.theory(spec), synthetic.result(spec, 3)
    result["largest"][:, 0, 1:3] = 2.5
    told = charts.summary([charts.Entry(spec, theory, result)], spec.times[3])
    assert told.count("rate above what their own kernels bear at t = 0: seeds 1, 2;") == 1
    assert told.count("rate above") == 1
    for more in ({"rule": "momentum", "momentum": 0.9}, {"rule": "gradient_flow"}, {"learning_rate": 0.7}):
        other = charts.Entry(spec.model_copy(update=more), theory, result)
        assert "rate above" not in charts.summary([other], spec.times[3])
