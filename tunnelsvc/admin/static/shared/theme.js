"use strict";

// Loaded before the page is painted, and not a module, so that nobody who chose dark sees a white
// flash. Without a choice the system's is followed (`color-scheme: light dark` in style.css).
(() => {
  const KEY = "tunnelsvc.theme";
  const root = document.documentElement;
  const stored = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage is forbidden here: the choice lasts as long as the page
    }
  };
  const apply = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  window.theme = {
    get: () => root.dataset.theme || "auto",
    set(theme) {
      apply(theme);
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        // as above
      }
    },
  };
  apply(stored());
})();
