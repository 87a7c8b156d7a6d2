"""What a visitor sees before any script has run, and how the charts take its place."""

from __future__ import annotations

import time
import urllib.request

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SCRIPTS = "**/static/js/*"
COLOURS = {"light": ("rgb(22, 32, 42)", "rgb(255, 255, 255)"), "dark": ("rgb(234, 240, 245)", "rgb(15, 21, 27)")}
NEAR = 40  # pixels by which what takes a place may differ from what stood there


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1024, "dark"), (390, "dark")])
def test_networks_stand_before_any_script_has_run_and_charts_take_their_place(open_page, server, width, scheme):
    await_pictures(server)
    page = open_page(width=width, scheme=scheme)
    expect(page.locator(".ntk-plot .main-svg").first).to_be_visible()
    held = []
    page.route(SCRIPTS, lambda route: held.append(route))
    page.goto(f"{server}/function_space", wait_until="commit")
    still = page.locator("#ntk-still")
    networks = still.locator("svg path[style*='--ntk-c0']")
    expect(networks).to_have_count(1)  # one path for all networks of a width
    assert networks.get_attribute("d").count("M") == 10
    assert still.evaluate("(e) => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]") == list(
        COLOURS[scheme]
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    first = [still.locator(name).bounding_box() for name in ("h3", "figure")]
    assert held
    page.unroute(SCRIPTS)  # lets those go on that are held
    expect(still).to_have_count(0)
    there = [page.locator(name).first.bounding_box() for name in (".stMain h3", ".ntk-panel")]
    moved = [
        abs(a[side] - b[side]) for a, b in zip(first, there, strict=True) for side in ("x", "y", "width", "height")
    ]
    assert max(moved) < NEAR, (first, there)
    assert page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor") == COLOURS[scheme][1]


def test_a_visitors_own_theme_comes_before_the_systems(open_page, server):
    await_pictures(server)
    page = open_page("circle")
    expect(page.locator(".ntk-plot .main-svg").first).to_be_visible()
    assert page.evaluate("localStorage.getItem('stActiveTheme-/circle-v2')") == '"System"'  # Streamlit's own way
    page.evaluate("""localStorage.setItem("stActiveTheme-/circle-v2", '"Dark"')""")
    held = []
    page.route(SCRIPTS, lambda route: held.append(route))
    page.goto(f"{server}/circle", wait_until="commit")
    expect(page.locator("#ntk-still")).to_have_css("background-color", COLOURS["dark"][1])
    page.unroute(SCRIPTS)  # lets those go on that are held
    expect(page.locator("#ntk-still")).to_have_count(0)
    assert page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor") == COLOURS["dark"][1]
    page.evaluate("localStorage.clear()")


def test_what_the_page_has_to_say_is_not_covered(open_page, server):
    """A page that shows a sentence instead of charts: here, since its script is nowhere to be had."""
    await_pictures(server)
    page = open_page(failing="live_chart.js")
    page.route("**/ntk/live_chart.js*", lambda route: route.abort())
    page.goto(f"{server}/circle", wait_until="commit")
    expect(page.locator("#ntk-still")).to_have_count(1)
    expect(page.get_by_text("The charts could not be loaded. Reload the page.")).to_be_visible()
    expect(page.locator("#ntk-still")).to_have_count(0)


def await_pictures(server):
    """Until the server, which draws them after its start, has them."""
    deadline = time.monotonic() + 60
    while any(
        "ntk-still" not in urllib.request.urlopen(f"{server}/{name}").read().decode()
        for name in ("", "circle", "function_space")
    ):
        assert time.monotonic() < deadline, "the pictures are not drawn"
        time.sleep(0.2)


def test_the_picture_that_is_seen_comes_before_the_other_moments(open_page, server):
    page = open_page("random_functions")
    clock, bar = page.locator(".ntk-clock"), page.locator(".ntk-time")
    expect(clock).to_contain_text("t = ")
    asked, held = [], []

    def hold(route):
        asked.append("at=" in route.request.url)
        held.append(route) if not asked[-1] else route.continue_()

    page.goto("about:blank")  # what this page still asks for is not what is counted
    page.route("**/ntk/limits/**", hold)
    page.goto(f"{server}/random_functions?beta=0.37")
    expect(page.locator(".ntk-live[data-drawn]")).to_be_attached()  # with nothing but the first
    seen = clock.text_content()
    last = int(bar.get_attribute("max"))
    assert last > 1  # the bar has its whole length
    bar.fill("0")
    expect(clock).to_have_text(seen)  # it stands for the others until they are here
    assert asked[0]
    while not held:
        page.wait_for_timeout(50)
    held[0].continue_()
    expect(clock).to_contain_text("t = 0 ")
    bar.fill(str(last))
    expect(page.locator(".ntk-live")).to_have_attribute("data-index", str(last))
    assert asked == [True, False]


def test_a_control_that_moves_on_does_not_ask_for_the_moments_it_passed(open_page, server):
    page = open_page("random_functions")
    expect(page.locator(".ntk-live[data-drawn]")).to_be_attached()
    page.goto("about:blank")
    firsts, wholes = [], []

    def hold(route):
        first = "at=" in route.request.url
        (firsts if first else wholes).append(route)
        if not first:
            route.continue_()

    page.route("**/ntk/limits/**", hold)
    page.goto(f"{server}/random_functions")
    while not firsts:
        page.wait_for_timeout(50)
    firsts.pop().continue_()
    while not wholes:
        page.wait_for_timeout(50)
    wholes.clear()  # the page is whole, and asks for nothing more until a control moves
    beta = page.get_by_role("slider", name="Bias factor β")
    beta.focus()
    for moves in (1, 2):
        beta.press("ArrowRight")
        while len(firsts) < moves:
            page.wait_for_timeout(50)
    for route in firsts:
        route.continue_()
    while not wholes:
        page.wait_for_timeout(50)
    page.wait_for_timeout(500)
    passed, settled = (route.request.url.split("?")[0] for route in firsts)
    assert passed != settled
    assert [route.request.url.split("?")[0] for route in wholes] == [settled]
