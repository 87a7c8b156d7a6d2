"""Back and Forward: one act of the visitor is one step, and each step shows what stood there."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def at(page, address):
    """The address is this (its path and parameters), stays so, and the page shows what it says."""
    expect(page).to_have_url(re.compile(rf"^https?://[^/]+/{re.escape(address)}$"))
    page.wait_for_timeout(1000)  # a run of the script that puts another address back would be over
    expect(page).to_have_url(re.compile(rf"^https?://[^/]+/{re.escape(address)}$"))


def options(page):
    """Whether the chart's options "Keep t = 0" and "NNGP" are on."""
    boxes = page.get_by_test_id("stCheckbox")
    labels = ("Keep t = 0 in view", "NNGP kernel Σ∞")
    return tuple(boxes.filter(has_text=label).locator("input").is_checked() for label in labels)


def test_back_and_forward_go_one_state_and_show_it(open_page):
    page = open_page("circle?widths=32&seeds=2")
    expect(page.locator(".ntk-plot .main-svg").first).to_be_visible()
    page.get_by_text("NNGP kernel Σ∞").click()
    expect(page).to_have_url(re.compile("nngp=1"))
    page.get_by_text("Keep t = 0 in view").click()
    expect(page).to_have_url(re.compile("initial=1"))
    page.go_back()  # at once: sooner than a stale event of the browser would be told from it by its age
    at(page, "circle?widths=32&seeds=2&nngp=1")
    assert options(page) == (False, True)
    page.go_back()
    at(page, "circle?widths=32&seeds=2")
    assert options(page) == (False, False)
    page.go_forward()
    at(page, "circle?widths=32&seeds=2&nngp=1")
    assert options(page) == (False, True)


def test_a_page_that_was_switched_to_is_one_step(open_page):
    page = open_page("circle?widths=32&seeds=2")
    expect(page.locator(".ntk-plot .main-svg").first).to_be_visible()
    page.get_by_role("link", name="Principal components").click()
    expect(page).to_have_url(re.compile("/components"))
    page.get_by_role("link", name="Kernel on the circle").click()
    expect(page).to_have_url(re.compile(r"/circle\?widths=32"))  # as it was left
    page.go_back()
    at(page, "components")
    page.go_back()
    at(page, "circle?widths=32&seeds=2")
    page.go_forward()
    page.go_forward()
    at(page, "circle?widths=32&seeds=2")


def test_a_link_that_was_put_right_is_one_step(open_page):
    page = open_page("circle?widths=32&seeds=2")
    expect(page.locator(".ntk-plot .main-svg").first).to_be_visible()
    page.goto(page.url + "&beta=NaN")
    at(page, "circle?widths=32&seeds=2")
    page.go_back()
    at(page, "circle?widths=32&seeds=2")


def test_back_from_a_page_that_learns_a_table_is_the_table(open_page):
    page = open_page("own_data")
    page.get_by_role("button", name="Two spirals").click()
    expect(page.get_by_text("Ready:")).to_be_visible()
    page.get_by_role("button", name="Accuracy and early stopping").click()
    expect(page).to_have_url(re.compile(r"/spectral\?.*data=own"))
    address = page.url.split("/", 3)[3].replace("%3A", ":")
    page.go_back()
    at(page, "own_data")
    expect(page.get_by_text("Ready:")).to_be_visible()  # nothing need be brought again
    page.go_forward()
    expect(page).to_have_url(re.compile(r"/spectral\?.*data=own"))
    assert page.url.split("/", 3)[3].replace("%3A", ":") == address
