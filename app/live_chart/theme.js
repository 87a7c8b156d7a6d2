/* Plotly's script, the theme's colours, and small things. */

/* Four of Okabe and Ito's, or near them, and two that colour-blind readers tell from those too. */
const CURVES = {
  light: ["#0072B2", "#D55E00", "#008561", "#B24C8C", "#5C3A00", "#5B3DF5"],
  dark: ["#56B4E9", "#E69F00", "#2FBF93", "#E08FBF", "#A8632A", "#8F6BFF"],
}

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
  CURVES[dark ? "dark" : "light"].forEach((value, i) => { tokens[`c${i}`] = value })
  const scale = window.innerWidth >= 1800 ? 1.25 : 1
  return { tokens, scale, font: style.fontFamily || "sans-serif" }
}

/* A copy of a figure with its colour tokens ("@ink", "@c0/0.2") replaced; arrays of numbers are left alone. */
function colour(value, theme, key = "") {
  if (typeof value === "string") return value[0] === "@" ? tokenColour(value, theme) : value
  if (value === null || typeof value !== "object" || ["x", "y", "z", "customdata"].includes(key)) {
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
/* A text on as many lines as a length in pixels makes of it, broken between its words. */
function wrapped(text, length, size, font) {
  const pen = (window.ntkPen ||= document.createElement("canvas").getContext("2d"))
  pen.font = `${size}px ${font}`
  const wide = (words) => pen.measureText(words.replace(/<[^>]+>/g, "")).width > length
  return text.split(" ").reduce((lines, word) => {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : word
    return lines.length && !wide(longer) ? [...lines.slice(0, -1), longer] : [...lines, word]
  }, []).join("<br>")
}

function calm() { return matchMedia("(prefers-reduced-motion: reduce)").matches }
function url(s, path) { return s.data.base + path }
function seconds(value) {
  if (value == null) return ""
  return value < 10 ? `${value.toFixed(1)} s` : value < 90 ? `${Math.round(value)} s` : `${(value / 60).toFixed(1)} min`
}
