// Sets the chosen theme before the first paint. Without a choice the system decides (see tokens.css).
(function () {
  try {
    var theme = localStorage.getItem("needle.theme");
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage is forbidden here: the system decides.
  }
})();
