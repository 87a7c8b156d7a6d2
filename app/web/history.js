/* One act of the visitor is one entry in the browser's history: what the page adds to its own address by itself (the
   parameters of a page just switched to, a bad link put right, the stations of a slider that is dragged) belongs to the
   entry that stands. Streamlit would make an entry of each, and Back would lead to pages that nobody saw. */
(() => {
  const push = history.pushState.bind(history)
  let acted = false
  const note = (event) => { acted ||= event.type !== "click" || !event.detail } // a click by a pointer began with its pointerdown
  for (const kind of ["pointerdown", "keydown", "click"]) addEventListener(kind, note, true)
  history.pushState = (...entry) => {
    if (acted) push(...entry)
    else history.replaceState(...entry)
    acted = false
  }
})()
