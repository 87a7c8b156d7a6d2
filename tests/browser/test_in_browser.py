"""The three pages in a real browser, from settings to finished curves, against the real engine."""

from __future__ import annotations

import math
import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

# A few seconds of plain gradient descent: long enough to be watched, on a fast machine too.
SMALL = {
    "circle": "widths=64,512&seeds=4&n_train=50&time=160&snapshots=24&method=steps&weights=dense",
    "function_space": "widths=64,512&seeds=6&time=300&snapshots=24&method=steps&weights=dense",
    "components": "widths=64,256&seeds=2&n_train=128&time=100&snapshots=24&method=steps&weights=dense",
}
END = {"circle": "t = 160 ", "function_space": "t = ∞", "components": "t = 100 "}  # of the time bar
MAIN = {"circle": "kernel", "function_space": "f", "components": "g"}
# Long enough to be stopped: many steps of a network that is wide for them.
LONG = "widths=1000&seeds=20&time=5000&snapshots=200&method=steps&weights=dense"

TOO_WIDE = """() => [...document.querySelectorAll(".stMain, .stMain section, .ntk-live, .ntk-panel, .ntk-deck")]
  .filter((e) => e.scrollWidth > e.clientWidth + 1 || e.getBoundingClientRect().right > innerWidth + 1)
  .map((e) => e.className)"""

FIRST_POINT = """() => {
  const gd = document.querySelector("[data-panel='batch'] .ntk-plot"), box = gd.getBoundingClientRect()
  const { xaxis, yaxis } = gd._fullLayout, point = gd.calcdata[0][0]
  return [box.left + xaxis._offset + xaxis.d2p(point.x), box.top + yaxis._offset + yaxis.d2p(point.y)]
}"""


def plot(page, panel):
    found = page.locator(f'[data-panel="{panel}"] .ntk-plot')
    expect(found.locator(".main-svg").first).to_be_visible()
    return found


def names(page, panel):
    """Names of the curves that are drawn in a panel."""
    script = "(p) => (document.querySelector(`[data-panel='${p}'] .ntk-plot`).data || []).map((t) => t.name)"
    return page.evaluate(script, panel)


def axis(page, panel):
    script = "(p) => document.querySelector(`[data-panel='${p}'] .ntk-plot`)._fullLayout.xaxis.range"
    return page.evaluate(script, panel)


def updates(page):
    return int(page.locator(".ntk-live").get_attribute("data-updates") or 0)


def train(page):
    page.get_by_role("button", name="Train", exact=True).click()


def finished(page):
    expect(page.locator(".ntk-message")).to_have_text(re.compile("Finished"))


@pytest.mark.parametrize("name", list(SMALL))
def test_from_settings_to_finished_curves_in_place(open_page, name):
    page = open_page(f"{name}?{SMALL[name]}")
    main = MAIN[name]
    node = plot(page, main).element_handle()
    if name != "components":  # whose networks all begin at the same point
        networks_are_there(page, main)  # before any click
    expect(page.locator(".ntk-message")).to_contain_text("Train ")  # what it would do
    expect(page.locator(".ntk-stop")).to_be_hidden()
    before = updates(page)
    page.evaluate("(node) => { node.marked = node.querySelector('.main-svg').marked = 'the same node' }", node)
    train(page)
    page.wait_for_function("document.querySelector('.ntk-live').dataset.state === 'running'")
    zoom(page, main)
    zoomed = axis(page, main)
    finished(page)
    assert updates(page) - before >= 5
    assert page.evaluate(f"document.querySelector(`[data-panel='{main}'] .ntk-plot`).marked") == "the same node"
    assert page.evaluate(f"document.querySelector(`[data-panel='{main}'] .main-svg`).marked") == "the same node"
    assert axis(page, main) == zoomed
    assert {f"n = {n}" for n in re.search(r"widths=([0-9,]+)", SMALL[name])[1].split(",")} <= set(names(page, main))
    expect(page.locator(".ntk-stop")).to_be_hidden()
    expect(page.locator(".ntk-facts")).to_contain_text("weight matrices")
    slider = page.locator(".ntk-time")
    slider.fill("0")
    expect(page.locator(".ntk-clock")).to_contain_text("t = 0")
    slider.press("End")
    expect(page.locator(".ntk-clock")).to_contain_text(END[name])


def networks_are_there(page, panel):
    page.wait_for_function(
        "(p) => document.querySelector(`[data-panel='${p}'] .ntk-plot`).data.some((t) => t.name.startsWith('n ='))",
        arg=panel,
    )


def zoom(page, panel):
    box = plot(page, panel).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 40, y - 30)
    page.mouse.down()
    page.mouse.move(x + 60, y + 30, steps=4)
    page.mouse.up()


def test_stop_keeps_what_was_computed(open_page):
    page = open_page(f"circle?{LONG}")
    plot(page, "kernel")
    train(page)
    page.wait_for_function(
        "document.querySelector(`[data-panel='kernel'] .ntk-plot`).data.some((t) => t.name.startsWith('n ='))"
    )
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".ntk-message")).to_have_text(re.compile("Stopped"))
    assert "n = 1,000" in names(page, "kernel")
    expect(page.get_by_role("button", name="Train", exact=True)).to_be_enabled()


def test_a_link_is_restored_in_another_session_with_its_finished_run(open_page):
    first = open_page("function_space?widths=64&seeds=6&time=300&snapshots=24&depth=3")
    plot(first, "f")
    first.get_by_text("Mean and 10–90 % band").click()
    expect(first).to_have_url(re.compile("band=1"))
    train(first)
    finished(first)
    second = open_page(first.url.split("/", 3)[3], apart=True)
    plot(second, "f")
    finished(second)  # without a click: the run is shared
    assert sorted(names(second, "f")) == sorted(names(first, "f"))
    assert second.url == first.url
    assert second.locator(".ntk-facts").inner_text() == first.locator(".ntk-facts").inner_text()


def test_a_run_goes_on_when_its_page_is_left_and_is_shown_on_return(open_page):
    page = open_page(f"circle?{LONG}")
    plot(page, "kernel")
    train(page)
    page.wait_for_function("document.querySelector('.ntk-live').dataset.state === 'running'")
    depth = page.get_by_role("slider", name="Depth L")
    depth.focus()
    depth.press("ArrowLeft")
    expect(page.get_by_text("in the background")).to_be_visible()
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("in the background")).to_be_hidden()  # and with it another button to stop the run
    page.wait_for_function("document.querySelector('.ntk-live').dataset.state === 'running'")
    page.locator(".ntk-stop").click()
    expect(page.locator(".ntk-message")).to_have_text(re.compile("Stopped"))


def test_a_table_of_ones_own_is_learned(open_page):
    page = open_page("own_data")
    page.get_by_role("tab", name="Paste").click()
    rows = [f"{math.cos(k):.3f},{math.sin(3 * k):.3f},{'even' if k % 2 else '<b>odd</b>'}" for k in range(12)]
    page.get_by_label("Table").fill("first,second,kind\n" + "\n".join(rows))
    page.get_by_label("Table").press("Control+Enter")
    expect(page.get_by_text("Ready:")).to_be_visible()
    page.get_by_role("button", name="Principal components").click()
    plot(page, "batch")
    expect(page).to_have_url(re.compile("data=own"))
    assert names(page, "batch") == ["‹b›odd‹/b›", "even"]
    train(page)
    finished(page)


def test_theory_follows_a_control_before_any_training(open_page):
    page = open_page("circle?widths=32&seeds=2")
    plot(page, "kernel")
    height = "Math.max(...document.querySelector(`[data-panel='kernel'] .ntk-plot`).calcdata.at(-1).map((p) => p.y))"
    assert page.evaluate(height) == pytest.approx(0.2825, abs=1e-4)
    depth = page.get_by_role("slider", name="Depth L")
    depth.focus()
    depth.press("ArrowLeft")
    page.wait_for_function(f"Math.abs({height} - 0.4025) < 1e-4")
    expect(page).to_have_url(re.compile("depth=3"))


def test_a_digit_shows_its_picture_when_pointed_at(open_page):
    page = open_page(f"components?{SMALL['components']}")
    plot(page, "batch")
    spot = page.evaluate(FIRST_POINT)
    page.mouse.move(spot[0] - 30, spot[1])
    page.mouse.move(*spot, steps=4)
    picture = page.locator('[data-panel="batch"] .ntk-digit')
    expect(picture).to_be_visible()
    page.wait_for_function("document.querySelector(`[data-panel='batch'] .ntk-digit`).naturalWidth === 28")


def test_a_click_adds_a_training_point_and_a_click_on_it_takes_it_away(open_page):
    page = open_page("function_space?points=custom&custom=0:0.2&widths=32&seeds=2&time=20")
    box = plot(page, "f").bounding_box()
    count = "document.querySelector(`[data-panel='f'] .ntk-plot`).calcdata.at(-1).length"
    assert page.evaluate(count) == 1
    spot = box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.4
    page.mouse.click(*spot)
    page.wait_for_function(f"{count} === 2")
    expect(page).to_have_url(re.compile("custom=0%3A0.2%2C1"))
    page.wait_for_timeout(400)
    page.mouse.click(*spot)
    page.wait_for_function(f"{count} === 1")


def test_home_moves_by_itself_and_leads_to_a_figure(open_page):
    page = open_page()
    plot(page, "f")
    clock = page.locator(".ntk-clock").inner_text()
    expect(page.locator(".ntk-clock")).not_to_have_text(clock)
    page.wait_for_function("document.querySelector(`[data-panel='f'] .ntk-plot`).data.some((t) => t.name === 'n = 64')")
    page.get_by_role("button", name="Show Figure 2").click()
    expect(page).to_have_url(re.compile("/function_space"))
    page.wait_for_function("(document.querySelector(`[data-panel='cost'] .ntk-plot`) || {}).data !== undefined")
    page.wait_for_function("document.querySelector(`[data-panel='f'] .ntk-plot`).data.some((t) => t.name === 'n = 50')")
    expect(page.locator(".ntk-clock")).to_contain_text("t = 1,000")  # recorded: its end is there without a run
    expect(page.locator(".ntk-message")).to_contain_text("Recorded")
    page.get_by_role("button", name="Run again").click()
    page.get_by_role("button", name="Stop").click()


def test_pages_keep_their_settings_when_one_comes_back(open_page):
    page = open_page("components?n_train=64&widths=32&seed=3")
    plot(page, "g")
    page.get_by_role("link", name="Kernel on the circle").click()
    plot(page, "kernel")
    expect(page).to_have_url(re.compile(r"/circle$"))
    page.get_by_role("link", name="Principal components").click()
    plot(page, "g")
    expect(page).to_have_url(re.compile(r"/components\?.*n_train=64"))
    expect(page).to_have_url(re.compile("seed=3"))


@pytest.mark.parametrize("path", ["", *(f"{name}?{SMALL[name]}" for name in SMALL)])
def test_a_phone_shows_the_page_without_sideways_scrolling(open_page, path):
    page = open_page(path, width=390, height=844, scheme="dark")
    expect(page.locator(".ntk-plot .main-svg").first).to_be_visible()
    assert page.evaluate(TOO_WIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_hostile_link_gets_one_sentence(open_page):
    page = open_page("circle?beta=NaN&activation=relu&widths=32&seeds=2")
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_have_count(1)
    expect(alert).to_contain_text("Bias factor β: must be a finite number")
    plot(page, "kernel")


def test_a_direction_is_followed_and_a_bad_one_gets_a_sentence_beside_the_same_picture(open_page):
    page = open_page("any_cost?drive=direction&widths=32&seeds=2&time=20&snapshots=4")
    plot(page, "f")
    page.locator(".ntk-time").press("End")  # where what follows the direction has come to
    limit = "document.querySelector(`[data-panel='f'] .ntk-plot`).calcdata.at(-2).map((p) => p.y)"
    highest = f"Math.max(...{limit})"
    page.wait_for_function(f"{highest} > 0")
    before = page.evaluate(highest)
    field = page.get_by_role("textbox", name="Direction d")
    field.fill("2*(f - y)")  # twice as fast: further towards the target by the same time
    field.press("Enter")
    page.wait_for_function(f"{highest} > {1.2 * before}")
    followed = page.evaluate(limit)
    for bad, sentence in (("f - z", "Direction d: "), ("-1000*f", "Direction d: the outputs grow without bound")):
        field.fill(bad)
        field.press("Enter")
        alert = page.get_by_test_id("stAlert").filter(has_text=sentence)
        expect(alert).to_have_count(1)
        plot(page, "f")
        assert page.evaluate(limit) == followed
        field.fill("2*(f - y)")
        field.press("Enter")
        expect(alert).to_have_count(0)


def test_own_points_begin_with_those_that_were_there_and_survive_a_detour(open_page):
    page = open_page("function_space?widths=32&seeds=2&time=20")
    box = plot(page, "f").bounding_box()
    count = "document.querySelector(`[data-panel='f'] .ntk-plot`).calcdata.at(-1).length"

    def choose(points):
        page.get_by_role("combobox", name="Training points").click()
        page.get_by_role("option", name=points).click()

    choose("my own")
    expect(page.get_by_role("textbox", name="My points")).to_be_visible()
    expect(page.get_by_role("button", name="Train", exact=True)).to_be_enabled()
    page.wait_for_function(f"{count} === 4")
    page.wait_for_timeout(400)
    page.mouse.click(box["x"] + box["width"] * 0.95, box["y"] + box["height"] * 0.2)
    page.wait_for_function(f"{count} === 5")
    choose("evenly spaced")
    page.wait_for_function(f"{count} === 8")
    choose("my own")
    page.wait_for_function(f"{count} === 5")


def test_networks_history_stays_at_infinity_where_the_limit_is_alone(open_page):
    page = open_page("function_space?widths=32&seeds=3&time=40&snapshots=6")
    train(page)
    finished(page)
    last = int(page.locator(".ntk-time").get_attribute("max"))
    page.locator(".ntk-time").fill(str(last))
    expect(page.locator(".ntk-clock")).to_contain_text("∞")
    page.wait_for_function("document.querySelector('.ntk-live').dataset.index === '6'")
    assert "n = 32" in names(page, "cost")
    assert "n = 32" not in names(page, "f")


def test_a_sweep_of_one_moment_has_no_time_to_choose(open_page):
    page = open_page("laws?widths=16,32&depths=2&networks=20")
    page.get_by_role("button", name="Draw networks").click()
    finished(page)
    for part in (".ntk-play", ".ntk-time", ".ntk-now"):
        expect(page.locator(part)).to_be_hidden()
