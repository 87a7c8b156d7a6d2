/* A panel's legend, above its plot and never on its curves: one button a curve. A click hides that curve on the whole
   page, a double click all others of the panel. */

const DASH = { dash: "6 4", dot: "2 3", dashdot: "6 3 2 3", longdash: "9 4", longdashdot: "9 3 2 3" }
const SVG = "http://www.w3.org/2000/svg"

function curveName(trace) { return trace.legendgroup || trace.name || "" }

function drawLegend(s, panel, data) {
  const named = new Map()
  for (const trace of data) {
    const name = curveName(trace)
    if (name && trace.showlegend !== false && !named.has(name)) named.set(name, trace)
  }
  const looks = JSON.stringify([...named].map(([name, t]) => [name, s.off.has(name), t.line, t.fillcolor, t.marker, t.opacity]))
  if (panel.looks === looks) return
  panel.looks = looks
  const focused = panel.legend.contains(document.activeElement) ? document.activeElement.dataset.curve : null
  panel.legend.replaceChildren(...[...named].map(([name, trace]) => legendItem(s, name, trace, [...named.keys()])))
  for (const item of panel.legend.children) if (item.dataset.curve === focused) item.focus()
}

function legendItem(s, name, trace, all) {
  const item = document.createElement("button")
  item.type = "button"
  item.dataset.curve = name
  item.title = "Click: hide or show. Double click: this one alone."
  item.setAttribute("aria-pressed", String(!s.off.has(name)))
  const words = document.createElement("span")
  words.append(...rich(trace.name))
  item.append(swatch(trace), words)
  item.onclick = (event) => {
    if (event.detail > 1) return alone(s, name, all)
    if (!s.off.delete(name)) s.off.add(name)
    schedule(s, true)
  }
  return item
}

function alone(s, name, all) {
  const others = all.filter((other) => other !== name)
  const already = others.every((other) => s.off.has(other))
  for (const other of others) already ? s.off.delete(other) : s.off.add(other)
  s.off.delete(name)
  schedule(s, true)
}

/* Plotly's few tags in a name, as nodes: nothing in a name is read as HTML. */
function rich(text) {
  return text.split(/(<(?:sup|sub|b|i)>.*?<\/\w+>)/).filter(Boolean).map((part) => {
    const [, tag, inner] = part.match(/^<(sup|sub|b|i)>(.*?)<\/\w+>$/) || []
    if (!tag) return document.createTextNode(part)
    const node = document.createElement(tag)
    node.textContent = inner
    return node
  })
}

function swatch(trace) {
  const mode = trace.mode || "lines"
  const svg = shape("svg", { viewBox: "0 0 28 14", width: 28, height: 14, opacity: trace.opacity ?? 1, "aria-hidden": "true" })
  const line = trace.line || {}
  if (trace.fill && trace.fill !== "none") svg.append(shape("rect", { x: 0, y: 2, width: 28, height: 10, fill: trace.fillcolor }))
  if (mode.includes("lines") && line.width !== 0) {
    svg.append(shape("path", {
      d: "M0 7H28", fill: "none", stroke: line.color, "stroke-width": Math.min(line.width || 2, 4), "stroke-dasharray": DASH[line.dash] || "none",
    }))
  }
  if (mode.includes("markers")) svg.append(marker(trace.marker || {}))
  return svg
}

function marker({ symbol, color }) {
  const [, name, open] = String(Array.isArray(symbol) ? symbol[0] : symbol || "circle").match(/^(.*?)(-open)?$/)
  const ink = Array.isArray(color) ? "currentColor" : color // one colour a width: the names are elsewhere
  const bare = Boolean(open) || name.endsWith("-thin")
  return shape("path", { d: OUTLINES[name] || OUTLINES.circle, fill: bare ? "none" : ink, stroke: ink, "stroke-width": bare ? 1.6 : 0.5, transform: "translate(14 7)" })
}

/* Plotly's symbols, five units around the origin. */
const OUTLINES = {
  circle: "M5 0A5 5 0 1 1 -5 0A5 5 0 1 1 5 0Z",
  square: "M-4.4 -4.4H4.4V4.4H-4.4Z",
  diamond: ring(4, 6, 6), "triangle-up": ring(3, 6, 6), "triangle-down": ring(3, 6, 6, Math.PI), pentagon: ring(5, 5.5, 5.5),
  star: ring(5, 6.5, 2.6), hexagram: ring(6, 6, 3.5),
  cross: "M-1.8 -5.5H1.8V-1.8H5.5V1.8H1.8V5.5H-1.8V1.8H-5.5V-1.8H-1.8Z",
  x: "M-4.5 -2.5L-2.5 -4.5L0 -2L2.5 -4.5L4.5 -2.5L2 0L4.5 2.5L2.5 4.5L0 2L-2.5 4.5L-4.5 2.5L-2 0Z",
  "x-thin": "M-4 -4L4 4M4 -4L-4 4",
}

/* A polygon of `count` corners at the outer radius with corners at the inner one between them, the first on top. */
function ring(count, outer, inner, turn = 0) {
  const corners = [...Array(2 * count).keys()].map((k) => {
    const radius = k % 2 ? (inner === outer ? outer * Math.cos(Math.PI / count) : inner) : outer
    const angle = turn - Math.PI / 2 + (Math.PI * k) / count
    return `${(radius * Math.cos(angle)).toFixed(2)} ${(radius * Math.sin(angle)).toFixed(2)}`
  })
  return `M${corners.join("L")}Z`
}

function shape(tag, attributes) {
  const node = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
  return node
}
