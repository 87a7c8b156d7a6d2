"""Every page in its fullest state on a projector, in half a window and on a phone: legible, and open to all."""

from __future__ import annotations

import re
import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

# All panels and as many curves as the chart's options give, after a short run.
FULL = {
    "home": "",
    "circle": "circle?widths=64,128&seeds=4&n_train=50&time=160&snapshots=8&initial=1&nngp=1&paper=1&band=1",
    "function_space": "function_space?widths=64,128&seeds=4&time=300&snapshots=8&gp=1&paper=1&band=1",
    "components": "components?widths=64,256&seeds=3&n_train=128&time=100&snapshots=8&band=1",
    "spectral": "spectral?widths=64,256&seeds=3&time=200&snapshots=8",
    "laws": "laws?widths=8,16,32&seeds=20",
    "random_functions": "random_functions?functions_shown=1",
    "conditioning": "conditioning",
    "lazy": "lazy?widths=16,32,64&time=20&seeds=2&snapshots=5",
}
PLAIN = ("home", "circle", "function_space", "components")  # read by axe in light too: the others are alike
THEORY_ALONE = ("random_functions", "conditioning")
SIZES = ((1440, 900), (1024, 768), (768, 1024), (390, 844))
LEAST = 180  # pixels of plot, either way
PATIENCE = 10.0  # seconds until a page of another size must stand

# What is wrong with what stands on the page, in words; nothing where all is legible.
FAULTS = """(least) => {
  const faults = [], box = (e) => e.getBoundingClientRect()
  const before = (a, b) => a.right <= b.left + 1 || a.bottom <= b.top + 1
  const apart = (a, b) => before(a, b) || before(b, a)
  const inside = (a, b) => Math.max(b.left - a.left, a.right - b.right, b.top - a.top, a.bottom - b.bottom) <= 1
  for (const figure of document.querySelectorAll(".ntk-panel:not([hidden])")) {
    const say = (text) => faults.push(`${figure.dataset.panel}: ${text}`)
    const plot = figure.querySelector(".ntk-plot"), size = plot._fullLayout?._size, panel = box(figure)
    if (!size) { say("not drawn"); continue }
    if (size.w < least || size.h < least) say(`plot of ${size.w} x ${size.h}`)
    const [titles, ticks] = [".xtitle, .ytitle", ".xtick text, .ytick text"].map((q) => [...plot.querySelectorAll(q)])
    if (titles.length < 2) say("an axis without its title")
    for (const title of titles) {
      if (!inside(box(title), panel)) say(`title cut off: ${title.textContent}`)
      for (const other of [...titles, ...ticks])
        if (other !== title && !apart(box(title), box(other))) say(`${title.textContent} on ${other.textContent}`)
    }
    for (const item of figure.querySelectorAll("figcaption, .ntk-legend button")) {
      if (!apart(box(item), box(plot))) say(`on the plot: ${item.textContent}`)
      if (!inside(box(item), panel)) say(`outside its panel: ${item.textContent}`)
    }
    if (!figure.querySelector(".ntk-legend button")) say("no legend")
  }
  const stuck = [...document.querySelectorAll(".ntk-deck, .ntk-controls")].map((e) => box(e).height)
  if (Math.max(...stuck) > innerHeight / 4) faults.push(`${Math.max(...stuck)} px stay over the panels`)
  const whole = ".stMain, .ntk-live, .ntk-panel, .ntk-deck, .ntk-controls, .ntk-bar, .stMain button"
  for (const e of document.querySelectorAll(whole))
    if (e.scrollWidth > e.clientWidth + 1) faults.push(`too wide: ${e.className} ${e.textContent.slice(0, 40)}`)
  if (document.documentElement.scrollWidth > innerWidth) faults.push("scrolls sideways")
  return faults
}"""


def fullest(open_page, name, **options):
    """The page with every panel drawn, its run finished (where somebody trained it already, at once)."""
    page = open_page(FULL[name], **options)
    expect(page.locator(".ntk-plot .main-svg").first).to_be_visible()
    if name not in ("home", *THEORY_ALONE):
        message = page.locator(".ntk-message")
        page.wait_for_timeout(300)
        if "Finished" not in message.inner_text():
            page.get_by_role("button", name=re.compile("^(Train|Draw networks)$")).click()
        expect(message).to_have_text(re.compile("Finished"))
    return page


@pytest.mark.parametrize("name", list(FULL))
def test_charts_keep_their_room_and_every_word_its_place(open_page, name):
    page = fullest(open_page, name, scheme="dark")
    assert serious_faults(page) == []
    if name == "home":
        page.get_by_role("button", name="Pause").click()
    found = {}
    for width, height in reversed(SIZES):
        page.set_viewport_size({"width": width, "height": height})
        if faults := remaining_faults(page):
            found[width] = faults
        if name == "circle":
            expect(page.get_by_role("button", name="Run again", exact=True)).to_have_text(re.compile("Run again$"))
            assert stacked(page) is (width < 1440)
    assert found == {}
    if name in PLAIN:
        page.emulate_media(color_scheme="light")
        expect(page.locator(".stApp")).to_have_css("background-color", "rgb(255, 255, 255)")
        assert serious_faults(page) == []


def remaining_faults(page):
    """What is still wrong when the page has had time to draw itself anew, on a busy machine too."""
    page.wait_for_timeout(400)
    deadline = time.monotonic() + PATIENCE
    while (faults := page.evaluate(FAULTS, LEAST)) and time.monotonic() < deadline:
        page.wait_for_timeout(250)
    return faults


def stacked(page):
    """Whether the side panels stand below the main one, rather than beside it."""
    main, side = (page.locator(f"[data-panel='{panel}']").bounding_box() for panel in ("kernel", "spread"))
    beside, below = side["x"] >= main["x"] + main["width"], side["y"] >= main["y"] + main["height"]
    assert beside is not below
    return below


def serious_faults(page):
    """What axe finds serious in a page with all that unfolds unfolded; it is folded again afterwards."""
    unfold = page.locator("[data-testid='stExpander'] summary").all()
    for summary in unfold:
        summary.click()
    page.wait_for_timeout(400)  # until they are open: text that fades in has no contrast yet
    violations = Axe().run(page).response["violations"]
    for summary in unfold:
        summary.click()
    return [(v["id"], n["html"]) for v in violations if v["impact"] in ("serious", "critical") for n in v["nodes"]]


def test_a_chart_is_an_image_with_words_beside_its_buttons(open_page):
    page = fullest(open_page, "circle")
    image = page.get_by_role("img", name=re.compile("^Kernel against the angle"))
    expect(image).to_have_count(1)
    assert image.evaluate("(e) => e.querySelectorAll('a, button, [tabindex]').length") == 0


def test_a_legend_hides_its_curve_everywhere_and_brings_it_back(open_page):
    page = fullest(open_page, "components")
    drawn = """() => [...document.querySelectorAll(".ntk-plot")].flatMap((p) => p.data)
      .filter((t) => t.name === "n = 64: mean" && t.visible !== false).length"""
    item = page.locator("[data-panel='g'] .ntk-legend").get_by_role("button", name="n = 64: mean")
    assert page.evaluate(drawn) == 2
    item.click()
    page.wait_for_function(f"({drawn})() === 0")
    expect(item).to_have_attribute("aria-pressed", "false")
    item.click()
    page.wait_for_function(f"({drawn})() === 2")


def test_a_saved_picture_has_its_title_and_its_legend(open_page):
    page = fullest(open_page, "function_space")
    panel = page.locator("[data-panel='cost']")
    panel.hover()
    with page.expect_download() as download:
        panel.locator("[data-title='Save as SVG']").click()
    picture = download.value.path().read_text(encoding="utf-8")
    assert download.value.suggested_filename == "ntk-explorer-function_space-cost.svg"
    assert "Cost while training" in picture
    assert "limit: expected" in picture
