/* The limit's own pictures: all of them in one answer, asked for when the settings change. Until it is here, what was
   drawn stays. */

const NO_LIMIT = { key: null, frames: [], arrays: {} }
const ASKED = 5 // times, some fifteen seconds in all

async function askForLimit(s) {
  const wanted = s.data.limit
  if (s.asked === wanted) return
  s.asked = wanted
  const superseded = () => s.gone || s.asked !== wanted
  for (let failures = 0; !superseded(); ) {
    const answer = await fetch(url(s, wanted)).catch(() => null)
    const found = answer && answer.ok ? await answer.json().catch(() => null) : null
    if (superseded()) return
    if (found) return takeLimit(s, found)
    const final = refused(answer) || ++failures === ASKED
    if (final) { s.asked = null; return complain(s, answer ? sentence(await reason(answer)) : "The server does not answer. Reload the page.") }
    await pauseFor(FIRST_WAIT_MS * 2 ** (failures - 1))
  }
}

function takeLimit(s, { frames, arrays }) {
  const fresh = s.limit.key !== s.data.key
  if (fresh && s.stale) forget(s) // those of other settings; a stream that was faster has done so itself
  s.limit = { key: s.data.key, frames, arrays }
  s.decoded = {}
  if (fresh && !s.moved) { s.position = newest(s); s.live = true }
  if (fresh && s.data.loop && !calm()) play(s)
  refreshBar(s)
  schedule(s, true)
}
