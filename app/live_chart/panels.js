/* The panels: one plot each, drawn in place; digits shown on hover; clicks that name a point. */

const LEAST = 180 // pixels of plot, either way, that every chart keeps

const CONFIG = {
  displaylogo: false, responsive: true, doubleClickDelay: 350,
  modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d", "toImage", "zoomIn2d", "zoomOut2d", "sendChartToCloud"],
}

function clearPanels(s) {
  for (const panel of s.panels.values()) if (window.Plotly && panel.plot.data) window.Plotly.purge(panel.plot)
  s.panels.clear()
  s.grid.replaceChildren()
}

function buildPanels(s) {
  for (const info of s.data.panels) {
    if (s.panels.has(info.name)) { s.panels.get(info.name).info = info; continue }
    const figure = document.createElement("figure")
    figure.className = `ntk-panel ntk-${info.place}`
    figure.dataset.panel = info.name
    figure.innerHTML = `
      <figcaption></figcaption>
      <div class="ntk-legend" role="group" aria-label="Curves; a button hides its curve"></div>
      <div class="ntk-plot"></div>
      <img class="ntk-digit" alt="" hidden>`
    const find = (name) => figure.querySelector(name)
    find("figcaption").textContent = info.title
    s.grid.append(figure)
    const panel = { info, figure, plot: find(".ntk-plot"), legend: find(".ntk-legend"), digit: find("img") }
    figure.addEventListener("pointerdown", (event) => watchClick(s, panel, event), true)
    s.panels.set(info.name, panel)
  }
}

function frameAt(s, position) {
  const own = s.frames[position], limit = s.limit.frames[Math.min(position, s.limit.frames.length - 1)]
  const beyond = !own && limit && position >= s.frames.length && s.frames.length && !s.data.run?.quiet
  return beyond ? withHistories(s, limit, s.frames.at(-1)) : own || limit
}

/* Beyond the last moment of the networks: the limit's picture, but what is their history stays as it was. */
function withHistories(s, frame, last) {
  if (s.beyond?.frame === frame && s.beyond.last === last) return s.beyond.whole
  const panels = { ...frame.panels }
  for (const { name, history } of s.data.panels) {
    const kept = history && frame.panels[name] && last.panels[name]
    if (kept) panels[name] = { ...kept, layout: { ...kept.layout, shapes: frame.panels[name].layout.shapes || [] } }
  }
  const whole = { ...frame, panels }
  s.beyond = { frame, last, whole }
  return whole
}

function show(s, position) {
  s.position = position
  refreshBar(s)
  schedule(s)
}

function schedule(s, force = false) {
  s.force = s.force || force
  if (s.pending) return
  s.pending = true
  requestAnimationFrame(() => { s.pending = false; draw(s) })
}

/* The same for what arrives by itself: a slow browser draws two thirds of the time at most, and the newest picture; the
   processor is wanted elsewhere, perhaps by the very networks that are watched. */
function pace(s) {
  if (s.pacing) return
  const wait = (s.restUntil || 0) - performance.now()
  s.pacing = setTimeout(() => { s.pacing = null; schedule(s) }, Math.max(wait, 0))
}

function draw(s) {
  const frame = frameAt(s, s.position)
  if (s.gone || !window.Plotly || !frame) return
  if (awaitsAll(s)) return void setTimeout(() => schedule(s), 100)
  const began = performance.now()
  const force = s.force
  s.force = false
  for (const [name, panel] of s.panels) panel.figure.hidden = !frame.panels[name]
  arrange(s)
  let made = 0, left = 0
  for (const [name, panel] of s.panels) {
    const figure = frame.panels[name]
    if (!figure || (panel.drawn === figure && !force)) continue
    if (panel.plot._dragging) { setTimeout(() => schedule(s), 120); continue }
    if (!panel.plot.data && made++) { left++; continue } // a new plot takes long: one is seen before the next is made
    panel.drawn = figure
    react(s, panel, { ...figure, data: plain(s, name, figure, frame.index) })
  }
  s.summary.textContent = frame.summary || ""
  s.root.dataset.updates = ++s.updates
  s.root.dataset.index = frame.index
  if (left) schedule(s)
  else uncover(s)
  s.restUntil = performance.now() + (performance.now() - began) / 2
}

/* Says that all stands which the page shows by itself, so that its still picture can go (app/web/first_sight.py);
   networks that do not come are not waited for long. */
function uncover(s) {
  if (s.frames.length || !s.data.run) s.root.dataset.drawn = ""
  else s.patience ||= setTimeout(() => { s.root.dataset.drawn = "" }, 2000)
}

/* How many panels stand beside the main one, and which one has no neighbour and so takes the whole row. */
function arrange(s) {
  const shown = [...s.panels.values()].filter((panel) => !panel.figure.hidden)
  const [side, foot] = ["side", "foot"].map((place) => shown.filter((panel) => panel.info.place === place))
  s.grid.style.setProperty("--ntk-sides", Math.max(1, side.length))
  const small = [...side, ...foot]
  const lone = (group) => (group.length % 2 ? group.at(-1) : null)
  for (const panel of small) {
    panel.figure.classList.toggle("ntk-lone-foot", panel === lone(foot))
    panel.figure.classList.toggle("ntk-lone", panel === lone(small))
  }
}

function react(s, panel, figure) {
  const { data, layout } = colour(figure, s.theme)
  drawLegend(s, panel, data)
  fit(s, panel, layout)
  const shown = data.map((trace) => (s.off.has(curveName(trace)) ? { ...trace, visible: false } : trace))
  window.Plotly.react(panel.plot, shown, layout, configOf(s, panel))
  panel.plot.style.setProperty("--ntk-above", `${6 - panel.plot.offsetTop}px`) // its buttons, in the title's row
  describe(panel, layout)
  keepRoom(s, panel)
  if (panel.info.pictures && !panel.hover) {
    panel.hover = true
    panel.plot.on("plotly_hover", (event) => showDigit(s, panel, event))
    panel.plot.on("plotly_unhover", () => { panel.digit.hidden = true })
  }
}

/* Plotly builds a plot anew, zoom and all, whenever its configuration differs, in a function too. */
function configOf(s, panel) {
  const click = (panel.save ||= () => saveImage(s, panel, "svg"))
  const save = { name: "save", title: "Save as SVG", icon: window.Plotly.Icons.camera, click }
  return { ...CONFIG, modeBarButtonsToAdd: [save], displayModeBar: panel.room < 330 ? false : "hover" }
}

/* Sizes for the room there is: letters, margins, axis titles on as many lines as they need. */
function fit(s, panel, layout) {
  const room = panel.plot.clientWidth
  if (Math.abs(room - (panel.room || 0)) > 40) panel.plot.style.minHeight = "" // not for a scroll bar that comes and goes
  panel.room = room
  const size = room < 330 ? 12 : room < 520 ? 13 : 14 * s.theme.scale
  layout.uirevision = s.data.key
  layout.autosize = true
  layout.modebar = { ...layout.modebar, orientation: "h" } // a row above the plot, where --ntk-above is
  layout.showlegend = false // the legend stands above the plot
  layout.font = { ...layout.font, family: s.theme.font, size }
  layout.margin = { l: 44, r: 18, t: 8, b: 34 } // more where the labels need it
  const height = Math.max(panel.plot.clientHeight, LEAST + 50)
  for (const [name, axis] of Object.entries(layout)) {
    if (!/^[xy]axis\d*$/.test(name) || !axis.title) continue
    const share = axis.domain ? axis.domain[1] - axis.domain[0] : 1
    const length = share * (name[0] === "x" ? room - 80 : height - 60)
    axis.title = { ...axis.title, text: wrapped(axis.title.text, length, size, s.theme.font), font: { size } }
  }
}

/* A chart whose labels left its plot less than it must have gets taller. */
function keepRoom(s, panel) {
  const missing = Math.ceil(LEAST - panel.plot._fullLayout._size.h)
  if (missing <= 0 || !panel.plot.clientHeight) return
  panel.plot.style.minHeight = `${panel.plot.clientHeight + missing}px`
  schedule(s, true)
}

/* What a screen reader gets in place of Plotly's drawing, and beside its buttons. */
function describe(panel, layout) {
  const notes = (layout.annotations || []).map((note) => note.text)
  panel.plot.querySelectorAll(".main-svg").forEach((svg, i) => {
    if (i) return svg.setAttribute("aria-hidden", "true")
    svg.setAttribute("role", "img")
    svg.setAttribute("aria-label", [panel.info.alt, ...notes].join(" "))
  })
}

/* The picture as it is now, with its title and a legend, on the page's colour. */
function saveImage(s, panel, format) {
  const { data, layout } = panel.plot
  const legend = { orientation: "h", x: 0, y: 1.02, xanchor: "left", yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" }
  const whole = {
    ...layout, legend, showlegend: true, autosize: false, width: 960, height: 600, paper_bgcolor: s.theme.tokens.paper,
    title: { text: panel.info.title, x: 0.02, y: 0.97 }, margin: { l: 64, r: 24, t: 110, b: 56 },
  }
  const filename = `ntk-explorer-${s.data.page}-${panel.info.name}`
  return window.Plotly.downloadImage({ data, layout: whole }, { format, filename, width: 960, height: 600, scale: format === "png" ? 2 : 1 })
}

function showDigit(s, panel, event) {
  const number = event.points[0].customdata
  if (number === undefined || number === null) return
  const box = panel.figure.getBoundingClientRect()
  panel.digit.src = url(s, `/ntk/digits/${number}.png`)
  panel.digit.alt = `Input number ${number} of the digits`
  const side = event.event.clientX - box.left
  panel.digit.style.left = `${side > box.width / 2 ? side - 124 : side + 20}px`
  panel.digit.style.top = `${Math.max(8, event.event.clientY - box.top - 116)}px`
  panel.digit.hidden = false
}

/* A click that is neither a drag nor half of a double click adds (or removes) a training point. */
function watchClick(s, panel, down) {
  if (!panel.info.clickable || !s.data.clickable || down.button !== 0) return
  const layout = panel.plot._fullLayout
  if (!layout || down.target.closest(".modebar, .legend")) return
  window.addEventListener("pointerup", (up) => {
    if (Math.hypot(up.clientX - down.clientX, up.clientY - down.clientY) > 4) return
    clearTimeout(s.clickTimer)
    if (down.timeStamp - (s.lastClick || -1e9) < 350) return
    s.lastClick = down.timeStamp
    const box = panel.plot.getBoundingClientRect()
    const x = layout.xaxis.p2d(down.clientX - box.left - layout.xaxis._offset)
    const y = layout.yaxis.p2d(down.clientY - box.top - layout.yaxis._offset)
    const inside = (v, axis) => v >= Math.min(...axis.range) && v <= Math.max(...axis.range)
    if (!inside(x, layout.xaxis) || !inside(y, layout.yaxis)) return
    s.clickTimer = setTimeout(() => s.send("point", { x, y }), 360)
  }, { once: true, capture: true })
}
