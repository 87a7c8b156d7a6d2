"""A run's stream through gateways that fail, servers that forget, and for ears instead of eyes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

STREAM = re.compile(r"/ntk/runs/.*/stream")
# Waits of the page's scripts pass a hundred times faster.
HASTE = "const wait = window.setTimeout; window.setTimeout = (f, ms, ...more) => wait(f, ms / 100, ...more)"
SPOKEN = """() => {
  window.spoken = []
  const live = document.querySelector(".ntk-spoken")
  new MutationObserver(() => window.spoken.push(live.textContent)).observe(live, { childList: true })
}"""


def small(seed):
    """A run of a second that no other test has had."""
    return f"circle?widths=64&seeds=2&n_train=20&time=100&snapshots=4&method=steps&weights=dense&seed={seed}"


def opened(open_page, seed, **options):
    page = open_page(small(seed), apart=True, failing="/stream", **options)
    expect(page.locator("[data-panel='kernel'] .main-svg").first).to_be_visible()
    return page


def train(page):
    page.get_by_role("button", name="Train", exact=True).click()


def test_a_gateways_errors_are_survived(open_page):
    page, answers = opened(open_page, 101), [502, 503]
    page.route(STREAM, lambda route: route.fulfill(status=answers.pop(0)) if answers else route.fallback())
    train(page)
    expect(page.locator(".ntk-message")).to_have_text(re.compile("Finished"))
    assert answers == []


def test_a_stream_that_breaks_off_goes_on_from_its_last_event(open_page):
    page, asked = opened(open_page, 102), []

    def answer(route):
        asked.append(route.request.headers.get("last-event-id"))
        if len(asked) > 1:
            return route.fallback()
        events = 'id: 7\nevent: status\ndata: {"state":"queued","progress":0,"elapsed":0,"message":"waiting"}\n\n: cut'
        route.fulfill(status=200, content_type="text/event-stream", body=events)

    page.route(STREAM, answer)
    train(page)
    expect(page.locator(".ntk-message")).to_have_text(re.compile("Finished"))
    assert asked == [None, "7"]


def test_a_run_that_the_server_has_forgotten_is_said_so_at_once(open_page):
    page, asked = opened(open_page, 103), []

    def refuse(route):
        asked.append(1)
        route.fulfill(status=404, json={"error": "this run is not known here any more: start it again"})

    page.route(STREAM, refuse)
    train(page)
    expect(page.locator(".ntk-message")).to_have_text(re.compile("^This run is not known here any more"))
    expect(page.locator(".ntk-stop")).to_be_hidden()
    expect(page.get_by_role("button", name="Reconnect")).to_be_hidden()
    assert len(asked) == 1


def test_a_server_that_stays_away_is_given_up_and_can_be_asked_again(open_page):
    page = opened(open_page, 104)
    page.evaluate(HASTE)
    page.route(STREAM, lambda route: route.abort())
    train(page)
    expect(page.locator(".ntk-message")).to_have_text(re.compile("^The server does not answer"))
    expect(page.locator(".ntk-spoken")).to_have_text(re.compile("^The server does not answer"))
    page.unroute(STREAM)
    page.get_by_role("button", name="Reconnect").click()
    expect(page.locator(".ntk-message")).to_have_text(re.compile("Finished"))


def test_networks_that_could_not_be_drawn_unasked_are_told_by_the_name_of_the_button(open_page):
    page = open_page("laws?widths=32,64&seeds=5", apart=True, failing="/stream")
    end = 'id: 3\nevent: end\ndata: {"state":"failed","error":"the worker died"}\n\n'
    page.route(STREAM, lambda route: route.fulfill(status=200, content_type="text/event-stream", body=end))
    page.reload()
    said = "No networks before training here: the worker died. Draw networks draws them."
    expect(page.locator(".ntk-message")).to_have_text(said)


def test_turning_points_are_read_out_and_seconds_are_not(open_page):
    page = opened(open_page, 105)
    page.evaluate(SPOKEN)
    train(page)
    expect(page.locator(".ntk-message")).to_have_text(re.compile("Finished"))
    spoken = page.evaluate("window.spoken")
    assert spoken[-1].startswith("Finished")
    assert len(spoken) == len(set(spoken)) <= 6
    assert not any("elapsed" in text or "left" in text for text in spoken)
    assert page.locator(".ntk-message").evaluate("(e) => e.closest('[role=status], [aria-live]')") is None
