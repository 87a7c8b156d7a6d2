/* The panels: one plot each, drawn in place; digits shown on hover; clicks that name a point. */

const CONFIG = {
  displaylogo: false, responsive: true, doubleClickDelay: 350,
  modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
  toImageButtonOptions: { format: "svg", filename: "ntk-explorer" },
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
    figure.innerHTML = `<figcaption></figcaption><div class="ntk-plot" role="img"></div><img class="ntk-digit" alt="" hidden>`
    figure.querySelector("figcaption").textContent = info.title
    const plot = figure.querySelector(".ntk-plot")
    plot.setAttribute("aria-label", info.alt)
    s.grid.append(figure)
    const panel = { info, figure, plot, digit: figure.querySelector("img") }
    figure.addEventListener("pointerdown", (event) => watchClick(s, panel, event), true)
    s.panels.set(info.name, panel)
  }
}

function frameAt(s, position) {
  return s.frames[position] || s.theory[Math.min(position, s.theory.length - 1)]
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

function draw(s) {
  const frame = frameAt(s, s.position)
  if (s.gone || !window.Plotly || !frame) return
  const force = s.force
  s.force = false
  for (const [name, panel] of s.panels) {
    const figure = frame.panels[name]
    panel.figure.hidden = !figure
    if (!figure || (panel.drawn === figure && !force)) continue
    if (panel.plot._dragging) { setTimeout(() => schedule(s), 120); continue }
    panel.drawn = figure
    react(s, panel, figure)
  }
  s.root.dataset.updates = ++s.updates
  s.root.dataset.index = frame.index
}

function react(s, panel, figure) {
  const coloured = colour(figure, s.theme)
  const layout = coloured.layout
  const room = panel.plot.clientWidth
  const narrow = room < 330
  const size = narrow ? 11 : room < 460 ? 12 : 14 * s.theme.scale
  layout.uirevision = s.data.key
  layout.autosize = true
  layout.font = { ...layout.font, family: s.theme.font, size }
  layout.legend = { ...layout.legend, font: { size: size - 1 } }
  if (narrow) layout.margin = { ...layout.margin, l: 44, r: 8 }
  window.Plotly.react(panel.plot, coloured.data, layout, { ...CONFIG, displayModeBar: narrow ? false : "hover" })
  if (panel.info.pictures && !panel.hover) {
    panel.hover = true
    panel.plot.on("plotly_hover", (event) => showDigit(s, panel, event))
    panel.plot.on("plotly_unhover", () => { panel.digit.hidden = true })
  }
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
