// Dark, light, or what the system says. The choice stands on the root element; public/theme.js sets it before the first paint.

import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";

const STORAGE_KEY = "needle.theme";
const listeners = new Set<() => void>();

export function currentTheme(): Theme {
  const set = document.documentElement.dataset["theme"];
  return set === "dark" || set === "light" ? set : "system";
}

export function setTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  try {
    if (theme === "system") localStorage.removeItem(STORAGE_KEY);
    else localStorage.setItem(STORAGE_KEY, theme);
  } catch {
    // Without storage the choice holds for this page.
  }
  for (const listener of listeners) listener();
}

/** Calls back whenever the colours change, by choice or by the system. */
export function onThemeChange(listener: () => void): () => void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  listeners.add(listener);
  system.addEventListener("change", listener);
  return () => {
    listeners.delete(listener);
    system.removeEventListener("change", listener);
  };
}

export function useTheme(): Theme {
  return useSyncExternalStore(onThemeChange, currentTheme);
}
