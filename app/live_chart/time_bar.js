/* The time bar: slider, clock, play, live. */

const FRAME_MS = 160, REST_MS = 2000

function count(s) { return Math.max(s.limit.frames.length, s.frames.length, 1) }
function newest(s) { return s.frames.length ? s.frames.length - 1 : s.data.start }
function lastPlayable(s) { return s.frames.length ? s.frames.length - 1 : s.limit.frames.length - 1 }

function refreshBar(s) {
  const last = count(s) - 1
  s.position = Math.min(s.position, last)
  s.slider.max = last
  s.slider.value = s.position
  const still = last === 0
  s.slider.disabled = s.playButton.disabled = still
  s.slider.hidden = s.playButton.hidden = still && !(s.data.run && s.data.moving) // one moment alone: nothing to move
  const frame = frameAt(s, s.position)
  const text = frame ? frame.caption : ""
  if (s.clock.textContent !== text) s.clock.textContent = text
  s.slider.setAttribute("aria-valuetext", text)
  s.bar.hidden = still && !s.data.run && !text && s.download.hidden
  const newer = s.data.moving && s.source && !s.data.run?.quiet // something newer may come
  s.liveButton.hidden = !s.frames.length || !newer
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
