/* Draws the panels of one experiment in place: theory from `data` at once, then a run's frames from its event stream.
   One state object for each mounted element; every call with new data only changes what differs. */

const STATES = new WeakMap()
const OKABE_ITO = {
  light: ["#0072B2", "#D55E00", "#008561", "#B24C8C", "#B87A00", "#3E9BD3"],
  dark: ["#56B4E9", "#E69F00", "#2FBF93", "#E08FBF", "#F0E442", "#FF8A47"],
}
const CONFIG = {
  displaylogo: false, responsive: true, doubleClickDelay: 350,
  modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
  toImageButtonOptions: { format: "svg", filename: "ntk-explorer" },
}
const FRAME_MS = 160, REST_MS = 2000

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".ntk-live")
  let state = STATES.get(root)
  if (!state) STATES.set(root, (state = mount(root)))
  state.send = setTriggerValue
  update(state, data[0])
  return () => unmount(state)
}

function mount(root) {
  root.innerHTML = `
    <div class="ntk-panels" role="group"></div>
    <div class="ntk-deck">
      <div class="ntk-bar">
        <button type="button" class="ntk-play" aria-label="Play">▶</button>
        <input type="range" class="ntk-time" min="0" max="0" step="1" aria-label="Time shown" />
        <output class="ntk-clock" aria-live="off"></output>
        <button type="button" class="ntk-now" aria-pressed="true" title="Follow the newest moment">live</button>
      </div>
      <div class="ntk-status" hidden>
        <progress max="1" value="0" aria-label="Progress of training"></progress>
        <span class="ntk-message" role="status"></span>
        <button type="button" class="ntk-stop">Stop</button>
      </div>
      <div class="ntk-facts"></div>
    </div>`
  const find = (name) => root.querySelector(".ntk-" + name)
  const s = {
    root, grid: find("panels"), slider: find("time"), clock: find("clock"), playButton: find("play"), status: find("status"),
    facts: find("facts"),     liveButton: find("now"), stopButton: find("stop"), message: find("message"), progress: root.querySelector("progress"),
    panels: new Map(), theory: [], frames: [], position: 0, live: true, playing: false, updates: 0,
  }
  s.slider.oninput = () => { pause(s); s.live = false; s.moved = true; show(s, Number(s.slider.value)) }
  s.playButton.onclick = () => (s.playing ? pause(s) : play(s))
  s.liveButton.onclick = () => { pause(s); s.live = true; show(s, newest(s)) }
  s.stopButton.onclick = () => stop(s)
  s.observer = new ResizeObserver(() => schedule(s, true))
  s.observer.observe(s.grid)
  return s
}

function unmount(s) {
  close(s)
  pause(s)
  s.observer.disconnect()
  for (const panel of s.panels.values()) if (window.Plotly && panel.plot.data) window.Plotly.purge(panel.plot)
  STATES.delete(s.root)
  s.gone = true
}

function update(s, data) {
  const fresh = !s.data || s.data.key !== data.key
  const page = s.data && s.data.page
  s.data = data
  if (page !== data.page) { s.moved = false; clearPanels(s) }
  buildPanels(s)
  s.theory = data.theory
  s.theme = readTheme(s.root)
  if (fresh) { s.frames = []; s.updates = 0 }
  connect(s, data.run)
  if (fresh && !s.moved) { s.position = data.start; s.live = true }
  loadPlotly(url(s, data.plotly)).then(() => schedule(s, true)).catch(() => say(s, "The charts could not be loaded. Reload the page."))
  s.facts.textContent = data.facts
  if (data.loop && fresh && !calm()) play(s)
  refreshBar(s)
}

/* ---- panels ---- */

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

/* ---- the stream ---- */

function connect(s, run) {
  const wanted = run ? run.url : null
  if (wanted === s.url) return
  close(s)
  s.url = wanted
  s.status.hidden = !run || Boolean(run.quiet)
  if (!run) return
  s.stopButton.hidden = false
  say(s, "Waiting for the engine…")
  const mark = run.url.includes("?") ? "&" : "?"
  s.source = new EventSource(url(s, `${run.url}${mark}viewer=${run.viewer}`))
  s.source.addEventListener("frame", (event) => receive(s, JSON.parse(event.data)))
  s.source.addEventListener("status", (event) => report(s, JSON.parse(event.data)))
  s.source.addEventListener("end", (event) => finish(s, JSON.parse(event.data)))
  s.source.onerror = () => lost(s)
}

function receive(s, frame) {
  s.frames[frame.index] = frame
  if (s.live && !s.playing) s.position = frame.index
  refreshBar(s)
  if (s.position === frame.index) schedule(s)
}

function report(s, status) {
  s.last = status
  s.progress.value = status.progress || 0
  s.message.classList.remove("ntk-bad")
  const parts = [status.message || (status.state === "running" ? "Training" : status.state), `${seconds(status.elapsed)} elapsed`]
  if (status.state === "running" && status.remaining != null) parts.push(`about ${seconds(status.remaining)} left`)
  say(s, parts.filter(Boolean).join(" · "))
  s.root.dataset.state = status.state
}

function finish(s, end) {
  close(s)
  s.stopButton.hidden = true
  s.root.dataset.state = end.state
  const spent = s.last ? ` after ${seconds(s.last.elapsed)}` : ""
  if (end.state === "finished") { s.progress.value = 1; say(s, `Finished${spent}`) }
  if (end.state === "stopped" || end.state === "left") say(s, `Stopped${spent}; what was computed stays`)
  if (end.state === "failed") say(s, `Failed${spent}: ${end.error || "the reason is in the server's log"}`)
  s.message.classList.toggle("ntk-bad", end.state === "failed")
}

function lost(s) {
  const closed = s.source && s.source.readyState === EventSource.CLOSED
  say(s, closed ? "The connection to this run is lost; what was drawn stays." : "Reconnecting…")
  if (closed) { close(s); s.stopButton.hidden = true }
}

function stop(s) {
  s.stopButton.hidden = true
  say(s, "Stopping…")
  const address = url(s, `/ntk/runs/${s.data.run.key}/leave?viewer=${s.data.run.viewer}`)
  fetch(address, { method: "POST" }).catch(() => say(s, "The engine could not be told to stop."))
}

function close(s) {
  if (s.source) s.source.close()
  s.source = null
}

/* ---- the time bar ---- */

function count(s) { return Math.max(s.theory.length, s.frames.length, 1) }
function newest(s) { return s.frames.length ? s.frames.length - 1 : s.data.start }
function lastPlayable(s) { return s.frames.length ? s.frames.length - 1 : s.theory.length - 1 }

function refreshBar(s) {
  const last = count(s) - 1
  s.position = Math.min(s.position, last)
  s.slider.max = last
  s.slider.value = s.position
  s.slider.disabled = s.playButton.disabled = last === 0
  const frame = frameAt(s, s.position)
  const text = frame ? frame.caption : ""
  if (s.clock.textContent !== text) s.clock.textContent = text
  s.slider.setAttribute("aria-valuetext", text)
  s.liveButton.hidden = !s.frames.length
  s.liveButton.setAttribute("aria-pressed", String(s.live && !s.playing))
}

function play(s) {
  s.playing = true
  s.live = false
  s.playButton.textContent = "❚❚"
  s.playButton.setAttribute("aria-label", "Pause")
  if (s.position >= lastPlayable(s)) s.position = -1
  const tick = () => {
    if (s.position >= lastPlayable(s)) {
      if (!s.data.loop) return pause(s)
      s.position = -1
    }
    show(s, s.position + 1)
    s.timer = setTimeout(tick, s.data.loop && s.position >= lastPlayable(s) ? REST_MS : FRAME_MS)
  }
  tick()
}

function pause(s) {
  clearTimeout(s.timer)
  s.playing = false
  s.playButton.textContent = "▶"
  s.playButton.setAttribute("aria-label", "Play")
}

/* ---- small things ---- */

function loadPlotly(source) {
  if (window.Plotly) return Promise.resolve()
  if (!window.ntkPlotly) {
    window.ntkPlotly = new Promise((resolve, reject) => {
      const script = document.createElement("script")
      script.src = source
      script.onload = resolve
      script.onerror = () => { window.ntkPlotly = null; reject(new Error("plotly")) }
      document.head.append(script)
    })
  }
  return window.ntkPlotly
}

function readTheme(root) {
  const style = getComputedStyle(root)
  const read = (name, fallback) => style.getPropertyValue(name).trim() || fallback
  const paper = read("--st-background-color", "#ffffff"), ink = read("--st-text-color", "#1a1c22")
  const dark = luminance(paper) < 0.5
  root.style.colorScheme = dark ? "dark" : "light"
  const tokens = { ink, paper, muted: mix(ink, paper, 0.6), grid: mix(ink, paper, dark ? 0.16 : 0.1) }
  OKABE_ITO[dark ? "dark" : "light"].forEach((value, i) => { tokens[`c${i}`] = value })
  const scale = window.innerWidth >= 1800 ? 1.25 : 1
  return { tokens, scale, font: style.fontFamily || "sans-serif" }
}

/* A copy of a figure with its colour tokens ("@ink", "@c0/0.2") replaced; arrays of numbers are left alone. */
function colour(value, theme, key = "") {
  if (typeof value === "string") return value[0] === "@" ? tokenColour(value, theme) : value
  if (value === null || typeof value !== "object" || key === "x" || key === "y" || key === "customdata") {
    return value && value.bdata ? { ...value } : value
  }
  if (Array.isArray(value)) return value.map((item) => colour(item, theme))
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, colour(v, theme, k)]))
}

function tokenColour(text, theme) {
  const [name, opacity] = text.slice(1).split("/")
  const hex = theme.tokens[name] || theme.tokens.ink
  return opacity === undefined ? hex : `rgba(${rgb(hex).join(",")},${opacity})`
}

function rgb(colourText) {
  if (colourText[0] !== "#") return (colourText.match(/[\d.]+/g) || [0, 0, 0]).slice(0, 3).map(Number)
  const hex = colourText.length === 4 ? [...colourText.slice(1)].map((c) => c + c).join("") : colourText.slice(1)
  return [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16))
}
function luminance(c) { const [r, g, b] = rgb(c); return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255 }
function mix(a, b, share) {
  const [p, q] = [rgb(a), rgb(b)]
  return "#" + p.map((v, i) => Math.round(v * share + q[i] * (1 - share)).toString(16).padStart(2, "0")).join("")
}
function calm() { return matchMedia("(prefers-reduced-motion: reduce)").matches }
function say(s, text) { s.message.textContent = text }
function url(s, path) { return s.data.base + path }
function seconds(value) {
  if (value == null) return ""
  return value < 10 ? `${value.toFixed(1)} s` : value < 90 ? `${Math.round(value)} s` : `${(value / 60).toFixed(1)} min`
}
