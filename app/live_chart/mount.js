/* Draws the panels of one experiment in place: the limit's pictures first, then a run's frames from its event stream.
   One state object for each mounted element; every call with new data only changes what differs. */

const STATES = new WeakMap()
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
    <div class="ntk-panels"></div>
    <div class="ntk-deck">
      <div class="ntk-controls">
        <div class="ntk-bar" role="group" aria-label="Time shown">
          <button type="button" class="ntk-play" aria-label="Play">▶</button>
          <input type="range" class="ntk-time" min="0" max="0" step="1" aria-label="Time shown" />
          <output class="ntk-clock" aria-live="off"></output>
          <button type="button" class="ntk-now" aria-pressed="true" title="Follow the newest moment">live</button>
          <details class="ntk-download" hidden><summary>Download</summary><div class="ntk-menu"></div></details>
        </div>
        <div class="ntk-status" hidden>
          <progress max="1" value="0" aria-label="Progress of training"></progress>
          <span class="ntk-message"></span>
          <button type="button" class="ntk-stop">Stop</button>
          <button type="button" class="ntk-retry" hidden>Reconnect</button>
        </div>
      </div>
      <div class="ntk-summary" title="Leaps take many steps at once. Their errors are upper estimates, which hold in about 99 of 100 runs and are typically some ten times what is in fact wrong. Advanced, Method, steps takes every step and has none."></div>
      <div class="ntk-facts"></div>
      <div class="ntk-spoken" role="status"></div>
    </div>`
  const find = (name) => root.querySelector(".ntk-" + name)
  const s = {
    root, grid: find("panels"), bar: find("bar"), slider: find("time"), clock: find("clock"), playButton: find("play"),
    liveButton: find("now"), status: find("status"), message: find("message"), spoken: find("spoken"), facts: find("facts"), summary: find("summary"), download: find("download"), menu: find("menu"),
    stopButton: find("stop"), retryButton: find("retry"), progress: root.querySelector("progress"),
    panels: new Map(), off: new Set(), arrays: {}, decoded: {}, histories: {}, limit: NO_LIMIT, frames: [], position: 0, live: true, playing: false, updates: 0,
  }
  s.slider.oninput = () => { pause(s); s.live = false; s.moved = true; show(s, Number(s.slider.value)) }
  s.playButton.onclick = () => (s.playing ? pause(s) : play(s))
  s.liveButton.onclick = () => { pause(s); s.live = true; show(s, newest(s)) }
  s.stopButton.onclick = () => stop(s)
  s.retryButton.onclick = () => listen(s)
  s.leaveMenu = closeWhenLeft(s.download)
  s.observer = new ResizeObserver(() => schedule(s, true))
  s.observer.observe(s.grid)
  return s
}

function unmount(s) {
  close(s)
  pause(s)
  s.observer.disconnect()
  s.leaveMenu()
  for (const panel of s.panels.values()) if (window.Plotly && panel.plot.data) window.Plotly.purge(panel.plot)
  STATES.delete(s.root)
  s.gone = true
}

/* The moments that a stream brought, and the arrays that they name. */
function forget(s) {
  s.frames = []
  s.histories = {}
  s.arrays = {}
  s.decoded = {}
}

function update(s, data) {
  if (!s.data || s.data.key !== data.key) s.updates = 0
  const page = s.data && s.data.page
  s.data = data
  if (page !== data.page) { s.moved = false; s.off.clear(); s.limit = NO_LIMIT; clearPanels(s) }
  buildPanels(s)
  s.theme = readTheme(s.root)
  connect(s, data.run)
  invite(s)
  askForLimit(s)
  loadPlotly(url(s, data.plotly)).then(() => schedule(s, true)).catch(() => complain(s, "The charts could not be loaded. Reload the page."))
  s.facts.textContent = data.facts
  buildDownloads(s)
  refreshBar(s)
}
