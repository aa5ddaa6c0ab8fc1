// Sets the theme that was chosen on an earlier visit, before anything is drawn.
try {
  document.documentElement.dataset.theme = localStorage.getItem("rill.theme") ?? "";
} catch {
  // Storage is forbidden here: the system's theme it is.
}
