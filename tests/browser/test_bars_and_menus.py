"""What stands around the charts: the time bar, the menu of downloads, the buttons of a plot, the pages' menu."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SPEC = "circle?widths=32,64&seeds=2&time=40&snapshots=6&seed={}"


def drawn(page):
    expect(page.locator(".ntk-plot .main-svg").first).to_be_visible()


def train(page):
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator(".ntk-message")).to_have_text(re.compile("Finished"))


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 768), (390, 844)])
def test_training_moves_neither_the_bar_nor_the_picture_above_it(open_page, width, height):
    page = open_page(SPEC.format(width), width=width, height=height)
    drawn(page)
    bar, panel = page.locator(".ntk-controls"), page.locator("[data-panel='kernel']")
    expect(page.locator(".ntk-message")).to_have_text(re.compile("before training. Train lets them learn, in about"))
    before = bar.bounding_box()
    train(page)
    expect(page.get_by_role("button", name="Run again", exact=True)).to_be_visible()
    assert bar.bounding_box() == before
    box = panel.bounding_box()
    assert box["y"] + box["height"] <= before["y"]  # its axis is not covered


def test_a_low_window_keeps_no_bar_over_the_charts(open_page):
    page = open_page(SPEC.format(1), width=844, height=390)
    drawn(page)
    assert page.locator(".ntk-controls").evaluate("(e) => getComputedStyle(e).position") == "static"


def test_a_run_that_has_ended_can_be_run_again_and_is_not_live(open_page):
    page = open_page(SPEC.format(2))
    drawn(page)
    train(page)
    expect(page.locator(".ntk-now")).to_be_hidden()
    again = page.get_by_role("button", name="Run again", exact=True)
    expect(again).to_be_visible()  # without a click: the page was told of the end
    finished = page.locator(".ntk-message").inner_text()
    updates = page.locator(".ntk-live").get_attribute("data-updates")
    again.click()
    page.wait_for_function("(n) => Number(document.querySelector('.ntk-live').dataset.updates) > n", arg=int(updates))
    expect(page.locator(".ntk-message")).to_have_text(re.compile("Finished"))
    assert finished


def test_the_looped_run_has_no_button_that_ends_its_loop(open_page):
    page = open_page()
    drawn(page)
    page.wait_for_function("document.querySelector(`[data-panel='f'] .ntk-plot`).data.some((t) => t.name === 'n = 64')")
    expect(page.locator(".ntk-now")).to_be_hidden()


def test_the_menu_of_downloads_closes_and_its_items_look_alike(open_page):
    page = open_page(SPEC.format(3))
    drawn(page)
    menu, summary = page.locator(".ntk-menu"), page.locator(".ntk-download summary")
    ways = (
        lambda: page.keyboard.press("Escape"),
        lambda: page.get_by_role("heading", name="Kernel on the circle").click(),
        lambda: page.locator("[data-panel='kernel'] figcaption").click(),
        lambda: page.get_by_role("slider", name="Depth L").focus(),
    )
    for leave in ways:
        summary.click()
        expect(menu).to_be_visible()
        leave()
        expect(menu).to_be_hidden()
    summary.click()
    look = """(e) => [...e.children].map((item) => {
      const s = getComputedStyle(item)
      return [s.backgroundColor, s.borderTopWidth, s.fontSize, s.paddingLeft, s.color].join()
    })"""
    assert len(set(menu.evaluate(look))) == 1
    with page.expect_download():
        menu.get_by_text("Spec (JSON)").click()
    expect(menu).to_be_hidden()


def test_the_buttons_of_a_plot_stand_above_it_and_send_nothing_elsewhere(open_page):
    page = open_page(SPEC.format(4))
    drawn(page)
    panel = page.locator("[data-panel='kernel']")
    panel.hover()
    buttons = panel.locator(".modebar").bounding_box()
    assert buttons["y"] + buttons["height"] <= panel.locator(".ntk-plot").bounding_box()["y"] + 8
    titles = panel.locator(".modebar-btn").evaluate_all("(all) => all.map((e) => e.dataset.title)")
    assert titles == ["Zoom", "Pan", "Reset axes", "Save as SVG"]


@pytest.mark.parametrize("width", [1440, 1024])
def test_the_page_shown_is_marked_where_its_link_is_folded_away(open_page, width):
    page = open_page("conditioning", width=width, height=768)
    drawn(page)
    menu = page.locator(".rc-overflow-item:not([inert]) [data-testid='stTopNavSection']")
    content = "(e) => getComputedStyle(e.querySelector('p'), '::after').content"
    assert "Positive definiteness" in menu.evaluate(content)
    page.get_by_role("link", name="Kernel on the circle").click()
    expect(page).to_have_url(re.compile("/circle"))
    drawn(page)
    assert menu.evaluate(content) == "none"


def test_a_phones_menu_goes_when_a_page_is_chosen(open_page):
    page = open_page("circle?widths=32&seeds=2", width=390, height=844)
    drawn(page)
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Function space").click()
    expect(page.get_by_role("heading", name="Function space")).to_be_visible()
    expect(page.get_by_test_id("stSidebar")).to_have_attribute("data-collapsed", "true")
