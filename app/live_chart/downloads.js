/* "Take it with you": files that the server makes, pictures that the browser makes, and the link to this page. */

function buildDownloads(s) {
  const files = s.data.downloads || []
  s.download.hidden = !files.length
  const list = JSON.stringify(files)
  if (s.offered === list) return
  s.offered = list
  const done = () => { s.download.open = false }
  const pictures = ["PNG", "SVG"].map((kind) => button(`Pictures as ${kind}`, () => done(savePictures(s, kind.toLowerCase()))))
  const page = button("Page with the charts (HTML)", () => done(savePage(s)))
  const link = button("Copy link", (item) => copyLink(item))
  s.menu.replaceChildren(...files.map((file) => fileLink(s, file)), ...pictures, page, link)
}

/* A menu that closes when something else is done; returns what ends that. */
function closeWhenLeft(menu) {
  const outside = (event) => { if (menu.open && !menu.contains(event.target)) menu.open = false }
  const escape = (event) => {
    if (event.key !== "Escape" || !menu.open) return
    menu.open = false
    menu.querySelector("summary").focus()
  }
  const kinds = { pointerdown: outside, focusin: outside, keydown: escape }
  for (const [kind, act] of Object.entries(kinds)) document.addEventListener(kind, act, true)
  return () => { for (const [kind, act] of Object.entries(kinds)) document.removeEventListener(kind, act, true) }
}

function button(text, act) {
  const item = document.createElement("button")
  item.type = "button"
  item.textContent = text
  item.onclick = () => act(item)
  return item
}

function fileLink(s, file) {
  const item = document.createElement("a")
  item.href = url(s, file.url)
  item.setAttribute("download", "")
  item.textContent = file.label
  item.onclick = () => { s.download.open = false }
  return item
}

async function savePictures(s, format) {
  for (const panel of s.panels.values()) if (!panel.figure.hidden && panel.plot.data) await saveImage(s, panel, format)
}

function copyLink(item) {
  const done = (text) => { item.textContent = text; setTimeout(() => { item.textContent = "Copy link" }, 2000) }
  if (!navigator.clipboard) return done(window.location.href)
  navigator.clipboard.writeText(window.location.href).then(() => done("Copied"), () => done(window.location.href))
}

/* One HTML file that needs nothing else: plotly.js and the charts as they are now, zoomable. */
async function savePage(s) {
  const script = await (await fetch(url(s, s.data.plotly))).text()
  const numbers = (key, value) => (ArrayBuffer.isView(value) ? Array.from(value, (v) => (Number.isFinite(v) ? v : null)) : value)
  const figures = [...s.panels.values()].filter((panel) => !panel.figure.hidden && panel.plot.data).map(({ info, plot }) => ({
    title: info.title, data: plot.data, layout: { ...plot.layout, showlegend: true, height: 480, paper_bgcolor: s.theme.tokens.paper },
  }))
  const data = JSON.stringify(figures, numbers).replaceAll("<", "\\u003c")
  const words = [document.title, s.clock.textContent, s.summary.textContent, s.facts.textContent, window.location.href]
  const body = words.filter(Boolean).map((text) => `<p>${escaped(text)}</p>`).join("\n")
  const draw = `for (const f of ${data}) { const box = document.body.appendChild(document.createElement("div"));
    document.body.insertBefore(document.createElement("h2"), box).textContent = f.title; Plotly.newPlot(box, f.data, f.layout) }`
  const page = `<!doctype html><meta charset="utf-8"><title>${escaped(document.title)}</title>
<style>body { font-family: sans-serif; background: ${s.theme.tokens.paper}; color: ${s.theme.tokens.ink} }</style>
<body>${body}<script>${script.replaceAll("</script", "<\\/script")}</script><script>${draw}</script></body>`
  save(new Blob([page], { type: "text/html" }), `ntk-explorer-${s.data.page}.html`)
}

function escaped(text) { return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`) }

function save(blob, name) {
  const link = document.createElement("a")
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10000)
}
