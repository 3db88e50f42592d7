// Durations for people: three significant digits, the unit that fits.

const UNITS: readonly [number, string][] = [
  [3600e9, "h"],
  [60e9, "min"],
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "µs"],
];

export function formatDuration(nanos: number): string {
  const size = Math.abs(nanos);
  for (const [unitNanos, unit] of UNITS) {
    if (size < unitNanos * 0.9995) continue;
    const value = nanos / unitNanos;
    const digits = Math.abs(value) >= 99.95 ? 0 : Math.abs(value) >= 9.995 ? 1 : 2;
    return `${trimZeros(value.toFixed(digits))} ${unit}`;
  }
  return nanos === 0 ? "0" : `${Math.round(nanos)} ns`;
}

function trimZeros(number: string): string {
  return number.includes(".") ? number.replace(/\.?0+$/, "") : number;
}

/** "+14 ms", "−14 ms". */
export function formatSigned(nanos: number): string {
  return `${nanos < 0 ? "−" : "+"}${formatDuration(Math.abs(nanos))}`;
}

const RELATIVE_NANOS: Record<string, number> = { s: 1e9, m: 60e9, h: 3600e9, d: 86_400e9, w: 604_800e9 };

/** "15m", "-15m", "1h30m", "2d" in nanoseconds. */
export function parseDuration(text: string): number | null {
  const compact = text.trim().replace(/^-/, "").replaceAll(" ", "");
  if (!/^(\d+(\.\d+)?(ms|[smhdw]))+$/.test(compact)) return null;
  let nanos = 0;
  for (const [, amount, unit] of compact.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)) {
    nanos += Number(amount) * (unit === "ms" ? 1e6 : (RELATIVE_NANOS[unit ?? ""] ?? 0));
  }
  return nanos;
}

/** "3 s ago", "2 h ago". */
export function formatAgo(millisAgo: number): string {
  if (millisAgo < 1000) return "just now";
  const seconds = millisAgo / 1000;
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} d ago`;
}

/** A step of 1, 2 or 5 times a power of ten that cuts `span` into at most `count` pieces. */
export function niceStep(span: number, count: number): number {
  const raw = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const factor = [1, 2, 5, 10].find((f) => f * power >= raw * 0.999) ?? 10;
  return factor * power;
}
