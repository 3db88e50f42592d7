// The colours of the canvas, read from the CSS tokens once per theme.

import { COLOR_COUNT } from "../services/color";

export interface Palette {
  services: string[];
  text: string;
  muted: string;
  faint: string;
  line: string;
  lineStrong: string;
  surface: string;
  sunken: string;
  accent: string;
  thread: string;
  error: string;
  warn: string;
  font: string;
}

export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string) => style.getPropertyValue(name).trim();
  return {
    services: Array.from({ length: COLOR_COUNT }, (_, i) => token(`--svc-${i}`)),
    text: token("--text"),
    muted: token("--muted"),
    faint: token("--faint"),
    line: token("--line"),
    lineStrong: token("--line-strong"),
    surface: token("--surface"),
    sunken: token("--sunken"),
    accent: token("--accent"),
    thread: token("--thread"),
    error: token("--error-bar"),
    warn: token("--warn"),
    font: getComputedStyle(document.body).fontFamily,
  };
}
