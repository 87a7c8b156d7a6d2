/* A run's events: frames, status, end; and the buttons Stop and Reconnect. */

const ALL_WITHIN_MS = 1500

function connect(s, run) {
  const wanted = run ? run.url : null
  if (wanted === s.url) return
  close(s)
  s.url = wanted
  s.stale = true
  if (run) listen(s)
}

/* The line below the time bar tells of a run; until there is one that was asked for, what "Train" would do. It is there
   from the start where anything can be trained, so that the bar never grows over the charts. */
function invite(s) {
  const { run, call } = s.data
  if (run && !run.quiet) return void (s.status.hidden = false)
  s.status.hidden = !call
  s.stopButton.hidden = s.retryButton.hidden = true
  busy(s, false)
  say(s, call)
}

function listen(s) {
  const { url: path, viewer } = s.data.run
  s.problem = ""
  s.listening = performance.now()
  delete s.root.dataset.state // that of the run before
  s.retryButton.hidden = true
  if (!s.data.run.quiet) {
    s.stopButton.hidden = false
    busy(s, true)
    say(s, "Waiting for the engine…")
  }
  s.source = openStream(url(s, `${path}${path.includes("?") ? "&" : "?"}viewer=${viewer}`), {
    event: (name, data) => (HANDLERS[name] || ignore)(s, data),
    lost: () => s.data.run.quiet || say(s, "The connection is lost; trying again…"),
    gone: (words) => gone(s, words),
  })
}

const HANDLERS = { frame: receive, status: report, end: finish, problem: (s, data) => { s.problem = data.message } }
function ignore() {} // events of a newer server

function receive(s, frame) {
  if (s.stale) forget(s) // what another stream showed stays until this one has something to show
  s.stale = false
  takeFrame(s, frame)
  const first = !s.frames.length
  s.frames[frame.index] = frame
  if (s.live && !s.playing) s.position = frame.index
  refreshBar(s)
  if (s.position === frame.index) (first ? schedule : pace)(s)
}

/* Whether all frames of a run that ended before are about to be here: then only the last of them need be drawn. */
function awaitsAll(s) {
  const ended = s.data.run && s.data.run.ended && s.source
  return Boolean(ended) && performance.now() - s.listening < ALL_WITHIN_MS
}

function report(s, status) {
  if (s.data.run && s.data.run.quiet) return // nobody asked for it: no words about it
  s.last = status
  s.progress.value = status.progress || 0
  const under = status.progress ? working(s) : "Drawing the networks"
  const parts = [status.message || (status.state === "running" ? under : status.state), `${seconds(status.elapsed)} elapsed`]
  if (status.state === "running" && status.remaining != null) parts.push(`about ${seconds(status.remaining)} left`)
  if (s.problem) parts.push(s.problem)
  say(s, parts.filter(Boolean).join(" · "))
  if (status.state === "running") announce(s, `${working(s)}, ${25 * Math.floor(4 * (status.progress || 0))} % done`)
  s.root.dataset.state = status.state
}

function working(s) { return s.data.moving ? "Training" : "Computing" }

function finish(s, end) {
  close(s)
  refreshBar(s)
  if (s.data.run && s.data.run.ended) schedule(s)
  else if (end.state === "finished") tellTheServer(s)
  if (s.data.run && s.data.run.quiet) {
    const { action } = s.data.run
    if (end.state === "failed") say(s, `No networks before training here: ${end.error}.${action ? ` ${action} draws them.` : ""}`)
    return
  }
  const spent = s.last ? ` after ${seconds(s.last.elapsed)}` : ""
  s.root.dataset.state = end.state
  const record = end.record && `Recorded: ${seconds(end.record.seconds)} on ${end.record.machine}`
  if (end.state === "finished" && record) rest(s, record)
  else if (end.state === "finished") rest(s, `Finished${spent}${s.problem ? ` · ${s.problem}` : ""}`)
  if (end.state === "stopped" || end.state === "left") rest(s, `Stopped${spent}; what was computed stays`)
  if (end.state === "failed") rest(s, `Failed${spent}: ${end.error || "the reason is in the server's log"}`, true)
}

/* The page's buttons know of the end once its script runs again; not everybody's in the same moment. */
function tellTheServer(s) {
  const { key, quiet } = s.data.run
  if (!quiet) setTimeout(() => { if (!s.gone && s.data.run && s.data.run.key === key) s.send("ended", key) }, 700 * Math.random())
}

/* The stream has ended for good: the server knows no such run (and says so), or has not answered for too long. */
function gone(s, words) {
  close(s)
  refreshBar(s)
  if (s.data.run && s.data.run.quiet) return
  s.retryButton.hidden = Boolean(words)
  const why = words ? sentence(words) : "The server does not answer"
  rest(s, `${why}; what was drawn stays.`, true)
}

/* No more to come: a last sentence, read out too, and no progress bar. */
function rest(s, text, bad = false) {
  s.stopButton.hidden = true
  busy(s, false)
  say(s, text, bad)
  announce(s, text)
}

function busy(s, yes) {
  s.progress.hidden = !yes
  s.status.classList.toggle("ntk-busy", yes)
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

/* What is wrong with the page itself, whether or not a run is under way. */
function complain(s, text) {
  s.status.hidden = false
  if (!s.source) { s.stopButton.hidden = true; busy(s, false) }
  say(s, text, true)
}

function sentence(text) { return text[0].toUpperCase() + text.slice(1) }

function say(s, text, bad = false) {
  s.message.textContent = s.message.title = text
  s.message.classList.toggle("ntk-bad", bad)
}

/* For screen readers: what changes each second is seen, only turning points are read out. */
function announce(s, text) {
  const silent = !s.data.run || s.data.run.quiet
  if (!silent && s.spoken.textContent !== text) s.spoken.textContent = text
}
