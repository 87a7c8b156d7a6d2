/* The limit's own pictures, asked for when the settings change: first the one that will be seen, then all. Until they are
   here, what was drawn stays. */

const NO_LIMIT = { key: null, frames: [], arrays: {} }
const ASKED = 5 // times, some fifteen seconds in all
const MOVING_MS = 150 // a control that is being dragged has moved on by then, and the other moments are not wanted

async function askForLimit(s) {
  const wanted = s.data.limit
  if (s.asked === wanted) return
  s.asked = wanted
  const superseded = () => s.gone || s.asked !== wanted
  const seen = s.moved ? Math.max(s.position, 0) : s.data.start
  const first = await pictures(s, s.playing ? wanted : `${wanted}&at=${seen}`, superseded)
  if (!first) return
  takeLimit(s, first)
  if (isWhole(first)) return
  await pauseFor(MOVING_MS)
  const all = superseded() ? null : await pictures(s, wanted, superseded)
  if (all) takeLimit(s, all, first)
}

/* What the server answers; nothing where other pictures are wanted by now, or where it refuses, which the page says. */
async function pictures(s, address, superseded) {
  for (let failures = 0; !superseded(); ) {
    const answer = await fetch(url(s, address)).catch(() => null)
    const found = answer && answer.ok ? await answer.json().catch(() => null) : null
    if (superseded()) return null
    if (found) return found
    const final = refused(answer) || ++failures === ASKED
    if (final) { s.asked = null; complain(s, answer ? sentence(await reason(answer)) : "The server does not answer. Reload the page."); return null }
    await pauseFor(FIRST_WAIT_MS * 2 ** (failures - 1))
  }
  return null
}

function isWhole({ frames, count }) { return frames.length === count }

/* All pictures, or one that stands for all until they are here; `first` is the one that came before them. */
function takeLimit(s, answer, first = null) {
  const { frames, arrays, count } = answer, whole = isWhole(answer)
  const fresh = s.limit.key !== s.data.key
  if (fresh && s.stale) forget(s) // those of other settings; a stream that was faster has done so itself
  if (first) frames[first.frames[0].index] = first.frames[0] // it is drawn already
  s.limit = { key: s.data.key, frames: whole ? frames : Array(count).fill(frames[0]), arrays }
  s.decoded = {}
  if (fresh && !s.moved) { s.position = newest(s); s.live = true }
  if ((fresh || first) && whole && s.data.loop && !s.playing && !calm()) play(s)
  refreshBar(s)
  schedule(s, !first)
}
