/* Runs before first paint: applies the stored theme, so that the page never flashes. */
(function () {
  "use strict";
  let theme = null;
  try { theme = localStorage.getItem("theme"); } catch (error) { /* storage may be blocked: follow the system */ }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
