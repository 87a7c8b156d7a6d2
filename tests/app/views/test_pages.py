"""Every page as Streamlit runs it, with an engine that answers at once (its numbers are invented)."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.web import shared_engine as server_state
from tests.app import synthetic

PAGES = ("circle", "function_space", "components")
LABELS = {
    "beta": "Bias factor β:", "depth": "Depth L (weight matrices):", "activation": "Activation σ:",
    "time": "Training time t:", "seed": "First seed:",
}  # fmt: skip


@pytest.fixture
def engine():
    before, fake = server_state._engine, synthetic.Engine(pace=0.0)
    server_state.use(fake)
    yield fake
    fake.close()
    server_state.use(before)


def page(name, **query):
    at = AppTest.from_string(f"from app.views import {name}\n{name}.render()", default_timeout=20)
    for key, value in query.items():
        at.query_params[key] = value
    return at.run()


def unfold(at, name):
    """Opens the folded controls, as a click would."""
    at.session_state[f"{name}:advanced"] = True
    return at.run()


def chart(at):
    """What the live chart was given."""
    (found,) = at.get("bidi_component")
    return found.proto


def button(at, label):
    return next(b for b in at.button if b.label == label)


def first(value):
    return value[0] if isinstance(value, list) else value


def sentences(at):
    return [e.value.replace("\\", "") for e in at.error]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_controls_plan_and_chart(engine, name):
    at = page(name)
    assert not at.exception
    assert sentences(at) == []
    assert at.slider(key=f"{name}.depth").value in (4, 5)
    assert any("dense weights" in m.value and "about" in m.value for m in at.markdown)
    assert chart(at)
    assert not button(at, "Train").disabled


def test_home_shows_a_run_and_the_three_presets(engine):
    at = AppTest.from_file("../../../app/main.py", default_timeout=20).run()
    assert not at.exception
    assert chart(at)
    assert [b.label for b in at.button] == ["Show Figure 1", "Show Figure 2", "Show Figure 3"]
    assert len(engine.runs) == 1


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("beta", "NaN"),
        ("depth", "0"),
        ("activation", "<script>alert(1)</script>"),
        ("time", "1e999"),
        ("seed", ["1", "2"]),
    ],
)
def test_a_bad_link_gets_a_sentence_and_the_default(engine, name, field, text):
    at = page(name, **{field: text, "seeds": "3"})
    assert not at.exception
    assert len(sentences(at)) == 1
    assert sentences(at)[0].startswith(LABELS[field])
    assert at.number_input(key=f"{name}.seeds").value == 3
    assert field not in at.query_params
    assert first(at.query_params["seeds"]) == "3"
    assert chart(at)


def test_a_link_restores_the_page(engine):
    at = unfold(
        page("circle", depth="7", widths="32,77", activation="erf", band="1", seed="12", method="steps"), "circle"
    )
    assert at.slider(key="circle.depth").value == 7
    assert at.multiselect(key="circle.widths").value == ["32", "77"]
    assert at.selectbox(key="circle.activation").value == "erf"
    assert at.toggle(key="circle.band").value is True
    assert at.number_input(key="circle.seed").value == 12
    assert sentences(at) == []


def test_a_control_that_moves_is_in_the_url_at_once(engine):
    at = page("circle")
    at.slider(key="circle.depth").set_value(6).run()
    at.toggle(key="circle.nngp").set_value(True).run()
    unfold(at, "circle")
    at.number_input(key="circle.seed").set_value(5).run()
    assert {k: first(v) for k, v in at.query_params.items()} == {"depth": "6", "nngp": "1", "seed": "5"}
    at.slider(key="circle.depth").set_value(4).run()
    assert "depth" not in at.query_params


def test_train_submits_the_spec_that_is_shown(engine):
    at = page("function_space", widths="16", seeds="2", time="20", snapshots="5")
    button(at, "Train").click().run()
    (run,) = engine.runs.values()
    assert (run.spec.widths, run.spec.seeds, run.spec.time) == ((16,), 2, 20)
    assert run.wait(10) == "finished"
    assert not at.exception


def test_a_refused_plan_disables_training_and_says_why(engine):
    at = page("circle", widths="1000000")
    assert button(at, "Train").disabled
    assert any("900 GB" in text and "lower the width" in text for text in sentences(at))


def test_a_warning_is_shown_before_training(engine):
    at = page("circle", learning_rate="30")
    assert any("diverge" in w.value for w in at.warning)
    assert not button(at, "Train").disabled


def test_no_digit_chosen_gives_a_sentence_and_no_training(engine):
    at = page("components")
    at.session_state["components.digits"] = []
    at.run()
    assert not at.exception
    assert any(text.startswith("Digits:") for text in sentences(at))
    assert button(at, "Train").disabled


def test_a_list_whose_control_is_not_shown_stays_what_it_was(engine):
    """Streamlit forgets what a widget held that it does not draw: that is not an empty choice."""
    at = page("components", digits="3,7")
    at.selectbox(key="components.data").set_value("gaussian").run()
    for count in (3, 4, 5):
        at.number_input(key="components.seeds").set_value(count).run()
        assert sentences(at) == []
        assert not button(at, "Train").disabled
    at.selectbox(key="components.data").set_value("digits").run()
    assert at.session_state["components.digits"] == [3, 7]


def test_a_width_that_is_no_number_gives_a_sentence(engine):
    at = page("circle")
    at.session_state["circle.widths"] = ["500", "wide"]
    at.run()
    assert not at.exception
    assert any(text.startswith("Widths n:") and "'wide'" in text for text in sentences(at))
    assert button(at, "Train").disabled


def test_an_engine_that_does_not_answer_gives_a_sentence(engine, monkeypatch):
    from ntk_core.engine import EngineError

    monkeypatch.setattr(engine, "refused", EngineError("the engine does not answer; try again in a moment"))
    for at in (page("circle"), AppTest.from_file("../../../app/main.py", default_timeout=20).run()):
        assert not at.exception
        assert any("does not answer" in text for text in sentences(at))


def test_a_finished_run_is_there_for_whoever_opens_its_link(engine):
    query = {"widths": "16", "seeds": "2", "time": "20", "snapshots": "5"}
    one = page("circle", **query)
    (sketch,) = engine.sketches.values()
    assert f"/ntk/runs/{sketch.key}/stream" in str(chart(one))  # the networks before training, before any click
    button(one, "Train").click().run()
    (run,) = engine.runs.values()
    run.wait(10)
    assert f"/ntk/runs/{run.key}/stream" in str(chart(page("circle", **query)))


@pytest.mark.parametrize("name", ["conditioning", "random_functions"])
def test_a_page_of_theory_alone_has_a_chart_and_nothing_to_train(engine, name):
    at = page(name)
    assert not at.exception
    assert sentences(at) == []
    assert chart(at)
    assert not [b for b in at.button if b.label in ("Train", "Run again")]
    assert not engine.runs


def test_a_failed_run_that_another_session_starts_again_is_followed_here_too(engine):
    engine.pace = 60.0  # seconds between increments: it does not end by itself
    here, there = page("circle"), page("circle")
    button(here, "Train").click().run()
    (run,) = engine.runs.values()
    followed = str(chart(here))
    assert run.task.rpartition("-")[2] in followed
    run.end("failed", "the worker died")
    button(there, "Train").click().run()
    (again,) = engine.runs.values()
    assert again is not run
    assert str(chart(here.run())) != followed
    assert again.task.rpartition("-")[2] in str(chart(here))


def test_a_formula_is_checked_as_it_is_typed(engine):
    """What is none has its sentence below the field, no training, and no place in the URL."""
    at = page("any_cost", drive="direction", direction="f - 2*y")
    assert not at.exception
    field = at.text_input(key="any_cost.direction")
    assert field.value == "f - 2*y"
    field.set_value("f - __import__('os')").run()
    assert not at.exception
    assert [e.value.replace("\\", "") for e in at.sidebar.error] == sentences(at)
    assert len(sentences(at)) == 1
    assert sentences(at)[0].startswith("Direction d: the function '__import__' is not known; choose from sin, cos")
    assert button(at, "Train").disabled
    assert first(at.query_params["direction"]) == "f - 2*y"
    assert chart(at)  # of the last formula that was one
    at.text_input(key="any_cost.direction").set_value("  f - 3*y ").run()
    assert sentences(at) == []
    assert not button(at, "Train").disabled
    assert first(at.query_params["direction"]) == "f - 3*y"


def test_a_formula_from_a_link_has_its_sentence_on_the_page(engine):
    at = page("any_cost", drive="direction", direction="g - y", seeds="2")
    assert [e.value for e in at.sidebar.error] == []
    assert sentences(at)[0].startswith("Direction d: 'g' is not known")
    assert at.number_input(key="any_cost.seeds").value == 2
    assert "direction" not in at.query_params
    assert not button(at, "Train").disabled


@pytest.mark.parametrize("drive", ["squared", "logistic", "huber", "cross_entropy", "direction", "players"])
def test_every_drive_has_its_own_controls(engine, drive):
    at = page("any_cost", drive=drive)
    assert not at.exception
    assert sentences(at) == []
    assert chart(at)
    assert len(at.text_input) == (drive == "direction")
    labels = [widget.label for widget in (*at.slider, *at.number_input)]
    assert ("Huber's δ" in labels) == (drive == "huber")
    assert ("Penalty on the critic" in labels) == (drive == "players")
    assert not button(at, "Train").disabled


def test_a_direction_that_grows_without_bound_gets_one_sentence(engine):
    at = page("any_cost", drive="direction", direction="-f")
    assert not at.exception
    assert len(sentences(at)) == 1
    assert sentences(at)[0].startswith("Direction d: the outputs grow without bound")
    assert not at.get("bidi_component")  # there was nothing before
    at.text_input(key="any_cost.direction").set_value("f - y").run()
    assert sentences(at) == []
    assert chart(at)


@pytest.mark.parametrize(
    ("bad", "sentence", "still"),
    [
        ("-f", "Direction d: the outputs grow without bound", "those of the settings before"),
        ("f - ", "Direction d: ", ""),
    ],
)
def test_the_pictures_stay_when_a_direction_is_refused(engine, bad, sentence, still):
    at = page("any_cost", drive="direction", direction="f - y", widths="16", seeds="2", snapshots="3")
    button(at, "Train").click().run()
    assert all(run.wait(10) == "finished" for run in engine.runs.values())
    at.run()  # the page knows now that the run has ended
    before, runs = chart(at), len(engine.runs)
    at.text_input(key="any_cost.direction").set_value(bad).run()
    assert not at.exception
    assert [s for s in sentences(at) if s.startswith(sentence)] == sentences(at) != []
    assert chart(at).json == before.json
    assert len(engine.runs) == runs
    assert bool(still) == any(still in c.value for c in at.caption if still)
    at.text_input(key="any_cost.direction").set_value("f - y").run()
    assert sentences(at) == []
    assert not at.caption


def test_another_kernel_of_the_theory_stands_beside_the_same_networks(engine):
    at = page("function_space", widths="16", seeds="2", time="20", snapshots="5", kernel="rbf", length="0.5")
    assert sentences(at) == []
    button(at, "Train").click().run()
    (run,) = engine.runs.values()
    assert run.spec.kernel == "ntk"
    at.selectbox(key="function_space.kernel").set_value("nngp").run()
    assert len(engine.runs) == 1
    assert not at.exception


def test_a_click_beside_a_tables_points_makes_them_ones_own():
    from app.views import function_space

    theory = {
        "train_gamma": np.array([0.5, -1.0]), "train_y": np.array([0.2, 0.4]), "mean": np.ones(3), "std": np.ones(3),
    }  # fmt: skip
    values = {"points": "own:" + "0" * 32, "custom": ()}
    assert function_space.VIEW.clickable(values)
    more = function_space.click({"x": 2.0, "y": -1.0}, theory, values)
    assert more == {"points": "custom", "custom": ((0.5, 0.2), (-1.0, 0.4), (2.0, -1.0))}
    less = function_space.click({"x": 0.5, "y": 0.2}, theory, values)
    assert less == {"points": "custom", "custom": ((-1.0, 0.4),)}
    many = theory | {"train_gamma": np.zeros(65), "train_y": np.zeros(65)}
    assert function_space.click({"x": 2.0, "y": -1.0}, many, values) == {}


def _points(at, which):
    return at.selectbox(key="function_space.points").select(which).run()


def test_own_points_begin_as_those_that_were_drawn_and_survive_a_detour(engine):
    at = _points(page("function_space", widths="16", seeds="2", time="20"), "custom")
    assert sentences(at) == []
    box = at.text_area(key="function_space.custom")
    assert len(box.value.split()) == 4  # the paper's four
    assert not button(at, "Train").disabled
    assert "clickable: true" in str(chart(at)).replace('\\"', "")
    box.set_value("0:0.2\n1:-1").run()
    at = _points(at, "even")
    assert "function_space.custom" not in [t.key for t in at.text_area]
    at = _points(at, "custom")
    assert at.text_area(key="function_space.custom").value == "0:0.2\n1:-1"
    assert first(at.query_params["custom"]) == "0:0.2,1:-1"


def test_own_points_begin_as_the_even_ones_and_a_link_without_any_has_some(engine):
    at = _points(page("function_space", widths="16", seeds="2", points="even", n_train="5"), "custom")
    assert len(at.text_area(key="function_space.custom").value.split()) == 5
    linked = page("function_space", points="custom", widths="16", seeds="2")
    assert sentences(linked) == []
    assert len(linked.text_area(key="function_space.custom").value.split()) == 4


@pytest.mark.parametrize(
    ("measure", "label"), [("spread", "Draw networks"), ("training", "Train"), ("depth", "Draw networks")]
)
def test_the_button_says_what_it_does(engine, measure, label):
    at = page("laws", measure=measure)
    assert not at.exception
    assert button(at, label).key == "laws:train"


def test_a_switch_for_the_papers_curves_says_why_there_are_none(engine):
    at = page("circle", paper="1")
    assert next(c.value.replace("\\", "") for c in at.caption if "paper" in c.value).endswith("N = 100 (here 20).")
    assert not [c for c in page("circle").caption if "paper" in c.value]


def test_a_run_that_has_ended_can_be_run_again_by_who_saw_it_end(engine):
    query = {"widths": "16", "seeds": "2", "time": "20", "snapshots": "5"}
    here, there = page("circle", **query), page("circle", **query)
    button(here, "Train").click().run()
    (run,) = engine.runs.values()
    assert run.wait(10) == "finished"
    button(there, "Train").click().run()  # whose page did not know yet
    assert list(engine.runs.values()) == [run]
    again = button(here.run(), "Run again")
    assert "same numbers" in again.help
    again.click().run()
    assert list(engine.runs.values()) != [run]


def test_what_train_would_do_is_said_before_and_its_methods_explained(engine):
    at = page("circle", widths="16,100000", seeds="2")
    assert "Networks at t = 0, before training. Train lets them learn, in about 2 s." in str(chart(at))
    (plan,) = [m for m in at.markdown if "about" in m.value and "weights" in m.value]
    assert all(word in plan.help for word in ("*Leaps*", "*Dense*", "*Sampled*"))
    assert "*Steps*" not in plan.help
    assert "Train draws them and lets them learn" in str(chart(page("laws", measure="training", trained="3")))
    assert "One network of each, trained. Train trains all, in about" in str(chart(page("lazy")))
    assert "cannot be run" in str(chart(page("circle", widths="1000000")))
    assert "A few networks of each. Draw networks shows all, in about" in str(chart(page("laws")))
    assert "Draw networks shows them, in about" in str(chart(page("laws", seeds="3")))


def test_a_number_beyond_its_range_is_answered_with_the_range(engine):
    """Streamlit's own field would turn red and keep it, and the page would go on as if nothing had been typed."""
    at = page("circle", seeds="3")
    seeds = at.number_input(key="circle.seeds")
    assert seeds.help == "How many networks of each width. From 1 to 100."
    assert (seeds.proto.has_min, seeds.proto.has_max) == (False, False)
    seeds.set_value(99_999).run()
    assert not at.exception
    assert [e.value.replace("\\", "") for e in at.sidebar.error] == sentences(at)
    assert sentences(at) == ["Seeds: must be between 1 and 100, got 99,999"]
    assert button(at, "Train").disabled
    assert first(at.query_params["seeds"]) == "3"
    at.number_input(key="circle.seeds").set_value(5).run()
    assert sentences(at) == []
    assert not button(at, "Train").disabled


@pytest.mark.parametrize(
    ("name", "query", "sentence"),
    [
        ("spectral", {"frequencies": "1,2,3,4,5,6,7"}, "Frequencies of the target: choose at most 6, got 7"),
        ("function_space", {"custom": "1:"}, "My points, angle:target: must be a finite number, got ''"),
        ("circle", {"n_train": "0"}, "Training inputs N: must be between 1 and 1,000, got 0"),
        (
            "any_cost",
            {"drive": "direction", "direction": "f - yy"},
            "Direction d: 'yy' is not known; choose from f, y, x, t",
        ),
    ],
)
def test_a_sentence_begins_with_the_label_of_its_control(engine, name, query, sentence):
    (said,) = sentences(page(name, **query))
    assert said.startswith(sentence)
    assert "..." not in said


def test_a_bad_table_gets_the_sets_of_its_page(engine):
    (said,) = sentences(page("function_space", points="own:"))
    assert said.startswith("Training points: 'own:' names no data; choose one of paper, even, custom, or own:")
    assert "mnist" not in said


def test_what_a_preset_shows_at_once_can_be_run_again(engine):
    """It is there from the start, without a click on Train."""
    at = page("circle", widths="16", seeds="2", time="20", snapshots="5")
    button(at, "Train").click().run()
    (run,) = engine.runs.values()
    assert run.wait(10) == "finished"
    at.session_state["pages"].pages["circle"].start = True  # as a preset's card leaves it
    button(at.run(), "Run again").click().run()
    assert list(engine.runs.values()) != [run]
