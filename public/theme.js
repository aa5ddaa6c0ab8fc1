// Sets what was chosen on an earlier visit, before anything is drawn: the theme, and whether the sidebar is hidden.
try {
  document.documentElement.dataset.theme = localStorage.getItem("rill.theme") ?? "";
  document.documentElement.dataset.sidebar = localStorage.getItem("rill.sidebar") ?? "";
} catch {
  // Storage is forbidden here: the system's theme it is.
}
