// The time range of a search as it stands in the address: "" (all time), "15m" (relative) or a point in time.

import { clockAt, instantOfMillis, offsetMinutes, parseInstant, type Zone } from "./instant";
import { parseDuration } from "./duration";

export interface TimeRange {
  from: string;
  to: string;
}

export const PRESETS: readonly { from: string; label: string }[] = [
  { from: "", label: "All time" },
  { from: "5m", label: "Last 5 minutes" },
  { from: "15m", label: "Last 15 minutes" },
  { from: "1h", label: "Last hour" },
  { from: "6h", label: "Last 6 hours" },
  { from: "24h", label: "Last 24 hours" },
  { from: "7d", label: "Last 7 days" },
  { from: "30d", label: "Last 30 days" },
];

const WALL = /^(?:(\d{4})-(\d\d)-(\d\d))?[T ]?(?:(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?)?$/;

/** What a person types as a time, in milliseconds since the epoch; null when it is none. */
export function parseTime(text: string, zone: Zone, nowMillis: number): number | null {
  const typed = text.trim();
  if (typed === "") return null;
  if (typed.toLowerCase() === "now") return nowMillis;
  const ago = parseDuration(typed);
  if (ago !== null) return nowMillis - ago / 1e6;
  const instant = parseInstant(typed);
  if (instant) return instant.seconds * 1000 + instant.nanos / 1e6;
  if (/^@?\d{9,19}$/.test(typed)) return parseEpoch(typed.replace("@", ""));
  return parseWall(typed, zone, nowMillis);
}

/** Seconds, milli-, micro- or nanoseconds by their size. */
function parseEpoch(digits: string): number {
  const power = digits.length <= 11 ? 3 : digits.length <= 14 ? 0 : digits.length <= 17 ? -3 : -6;
  return Number(digits) * 10 ** power;
}

function parseWall(text: string, zone: Zone, nowMillis: number): number | null {
  const match = WALL.exec(text);
  if (!match) return null;
  const [, year, month, day, hour, minute, second, fraction] = match;
  const today = clockAt(instantOfMillis(nowMillis), zone).date;
  const date = year ? `${year}-${month}-${day}` : today;
  const time = `${(hour ?? "0").padStart(2, "0")}:${minute ?? "00"}:${second ?? "00"}.${fraction ?? "0"}`;
  const wall = parseInstant(`${date}T${time}Z`);
  if (!wall) return null;
  const wallMillis = wall.seconds * 1000 + wall.nanos / 1e6;
  const utc = utcOfWall(wallMillis, zone);
  // A bare clock time that has not come yet today means yesterday's.
  return !year && utc > nowMillis ? utcOfWall(wallMillis - 86_400_000, zone) : utc;
}

function utcOfWall(wallMillis: number, zone: Zone): number {
  const first = wallMillis - offsetMinutes(wallMillis, zone) * 60_000;
  // The offset may differ on the other side of a change to or from summer time.
  return wallMillis - offsetMinutes(first, zone) * 60_000;
}

export interface ResolvedRange {
  start?: string;
  end?: string;
}

/** The range in the form the API takes; relative words are pinned to `nowMillis`. */
export function resolveRange(range: TimeRange, zone: Zone, nowMillis: number): ResolvedRange {
  const resolved: ResolvedRange = {};
  const start = parseTime(range.from, zone, nowMillis);
  const end = parseTime(range.to, zone, nowMillis);
  if (start !== null) resolved.start = new Date(start).toISOString();
  if (end !== null) resolved.end = new Date(end).toISOString();
  return resolved;
}

/** "Last hour", "2026-11-20 14:00 → 15:00". */
export function describeRange(range: TimeRange, zone: Zone): string {
  const preset = range.to === "" ? PRESETS.find((p) => p.from === range.from) : undefined;
  if (preset) return preset.label;
  if (range.to === "" && parseDuration(range.from) !== null) return `Last ${range.from}`;
  const from = describePoint(range.from, zone) || "beginning";
  const to = describePoint(range.to, zone) || "now";
  const sameDay = from.length > 11 && to.length > 11 && from.slice(0, 11) === to.slice(0, 11);
  return `${from} → ${sameDay ? to.slice(11) : to}`;
}

function describePoint(text: string, zone: Zone): string {
  const instant = parseInstant(text.trim());
  if (!instant) return text.trim();
  const clock = clockAt(instant, zone);
  return `${clock.date} ${clock.time.replace(/\.000$/, "").replace(/:00$/, "")}`;
}
