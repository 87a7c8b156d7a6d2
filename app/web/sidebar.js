/* On a phone the sidebar lies over the page: it goes when a page was chosen in it. */
addEventListener("click", (event) => {
  const sidebar = document.querySelector("[data-testid='stSidebar']")
  if (!sidebar || !event.target.closest("[data-testid='stSidebarNavLink']") || innerWidth >= 768) return
  setTimeout(() => sidebar.querySelector("[data-testid='stSidebarCollapseButton'] button")?.click()) // Streamlit's turn first
})
