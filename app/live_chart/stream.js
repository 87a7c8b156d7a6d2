/* The event stream of a run: frames, status, end; and the Stop button. */

function connect(s, run) {
  const wanted = run ? run.url : null
  if (wanted === s.url) return
  close(s)
  s.url = wanted
  s.problem = ""
  s.status.hidden = !run || Boolean(run.quiet)
  if (!run) return
  s.stopButton.hidden = false
  say(s, "Waiting for the engine…")
  const mark = run.url.includes("?") ? "&" : "?"
  s.source = new EventSource(url(s, `${run.url}${mark}viewer=${run.viewer}`))
  s.source.addEventListener("frame", (event) => receive(s, JSON.parse(event.data)))
  s.source.addEventListener("problem", (event) => { s.problem = JSON.parse(event.data).message })
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
  if (s.problem) parts.push(s.problem)
  say(s, parts.filter(Boolean).join(" · "))
  s.root.dataset.state = status.state
}

function finish(s, end) {
  close(s)
  s.stopButton.hidden = true
  s.root.dataset.state = end.state
  const spent = s.last ? ` after ${seconds(s.last.elapsed)}` : ""
  if (end.state === "finished") { s.progress.value = 1; say(s, `Finished${spent}${s.problem ? ` · ${s.problem}` : ""}`) }
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
  const failed = (text) => { s.stopButton.hidden = false; say(s, text) }
  fetch(address, { method: "POST" }).then(
    (answer) => {
      if (answer.status === 404) failed("This run is not known here any more.")
      else if (!answer.ok) failed("The engine could not be told to stop. Try again.")
    },
    () => failed("The server could not be reached. Try again."),
  )
}

function close(s) {
  if (s.source) s.source.close()
  s.source = null
}
