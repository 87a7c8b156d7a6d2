/* Arrays as the server sends them: named once and referred to, 16-bit numbers over their own range, many curves over
   one x, histories column by column. `plain` makes the traces that Plotly reads. */

const MISSING = -32768

/* Takes a frame in: its arrays, and the new columns of its histories. */
function takeFrame(s, frame) {
  Object.assign(s.arrays, frame.arrays)
  for (const [panel, figure] of Object.entries(frame.panels)) {
    for (const trace of figure.data) {
      const column = trace.history
      if (!column) continue
      const columns = (s.histories[`${panel}/${column.id}`] ||= [])
      columns[frame.index] = { x: column.x, y: decode(s, column.y) }
    }
  }
}

function decode(s, token) {
  if (Array.isArray(token)) return token
  if (token.ref) {
    const known = (s.decoded[token.ref] ||= decode(s, s.arrays[token.ref] || s.limit.arrays[token.ref]))
    return known
  }
  const raw = Uint8Array.from(atob(token.bdata), (c) => c.charCodeAt(0)).buffer
  if (token.dtype === "f4") return new Float32Array(raw)
  return Float32Array.from(new Int16Array(raw), (v) => (v === MISSING ? NaN : token.offset + token.scale * v))
}

/* Curves one after the other, a gap between each two; y holds them row by row. */
function joined(x, y, curves) {
  const points = x.length
  const out = { x: new Float32Array(curves * (points + 1)), y: new Float32Array(curves * (points + 1)) }
  for (let c = 0; c < curves; c++) {
    const start = c * (points + 1)
    out.x.set(x, start)
    out.y.set(y.subarray(c * points, (c + 1) * points), start)
    out.x[start + points] = out.y[start + points] = NaN
  }
  return out
}

function history(s, panel, id, index) {
  const columns = (s.histories[`${panel}/${id}`] || []).slice(0, index + 1).filter(Boolean)
  const curves = columns.length ? columns.at(-1).y.length : 0
  const y = new Float32Array(curves * columns.length)
  columns.forEach((column, t) => { for (let c = 0; c < curves; c++) y[c * columns.length + t] = column.y[c] })
  return joined(Float32Array.from(columns, (column) => column.x), y, curves)
}

/* The traces of a panel's figure at a moment, with x and y that Plotly reads. */
function plain(s, panel, figure, index) {
  return figure.data.map((trace) => {
    if (trace.history) return { ...trace, ...history(s, panel, trace.history.id, index), history: undefined }
    if (trace.curves) {
      const x = decode(s, trace.curves.x), y = decode(s, trace.curves.y)
      return { ...trace, ...joined(x, y, y.length / x.length), curves: undefined }
    }
    const out = { ...trace }
    for (const key of ["x", "y", "z"]) if (isArray(trace[key])) out[key] = decode(s, trace[key])
    return out
  })
}

function isArray(value) { return value && (value.ref || value.bdata) }
