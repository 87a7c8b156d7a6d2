/* A server-sent-event stream read with fetch: unlike EventSource it survives a gateway's error, tells a refusal from a
   lost connection, and names the last event it has when it comes back. */

const FIRST_WAIT_MS = 500, LONGEST_WAIT_MS = 15000, TRIES = 12 // some two minutes in all
const QUIET_MS = 60000 // a connection without even a keep-alive (every 15 s) is dead
const PASSING = [408, 425, 429] // refusals that a later try may not meet

/* Reads until the server refuses, nobody has answered TRIES times in a row, or `close()`.
   on: event(name, data), lost(), gone(sentence of the server's, or "" where it did not answer). */
function openStream(address, on) {
  const leave = new AbortController()
  keepReading(address, on, leave.signal)
  return { close: () => leave.abort() }
}

async function keepReading(address, on, signal) {
  let last = ""
  for (let failures = 0; !signal.aborted; ) {
    const answer = await reach(address, last, signal)
    if (signal.aborted) return
    if (refused(answer)) return on.gone(await reason(answer))
    if (answer && answer.ok) {
      for await (const event of eventsOf(answer.body)) {
        if (signal.aborted) return
        failures = 0
        last = event.id || last
        on.event(event.name, JSON.parse(event.data))
      }
    }
    if (signal.aborted) return
    if (++failures > TRIES) return on.gone("")
    on.lost()
    await pauseFor(Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS) * (0.7 + 0.6 * Math.random()))
  }
}

/* The server's answer, or null where there was none. */
async function reach(address, last, signal) {
  const headers = { accept: "text/event-stream", ...(last && { "last-event-id": last }) }
  try {
    return await fetch(address, { headers, cache: "no-store", signal })
  } catch {
    return null
  }
}

function refused(answer) {
  return answer && answer.status >= 400 && answer.status < 500 && !PASSING.includes(answer.status)
}

async function reason(answer) {
  const body = await answer.json().catch(() => null)
  return (body && body.error) || "the server refuses this"
}

async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ""
  for (;;) {
    const quiet = setTimeout(() => reader.cancel(), QUIET_MS)
    const { value, done } = await reader.read().catch(() => ({ done: true })) // a connection that breaks has ended
    clearTimeout(quiet)
    if (done) return
    const parts = (rest + value).split("\n\n")
    rest = parts.pop()
    for (const part of parts) {
      const event = parseEvent(part)
      if (event.data) yield event
    }
  }
}

function parseEvent(text) {
  const event = { name: "message", id: "", data: "" }
  for (const line of text.split("\n")) {
    const [, field, value] = line.match(/^(\w+): ?(.*)$/) || []
    if (field === "event") event.name = value
    else if (field === "id" || field === "data") event[field] = value
  }
  return event
}

function pauseFor(ms) { return new Promise((resolve) => setTimeout(resolve, ms)) }
