// Counts over time as stacked bars: pure, so that what is drawn can be tested.

import type { HistogramAnswer, HistogramGroup } from "../api";
import { isErrorStatus, levelOfText } from "../level";
import { formatDuration } from "../time/duration";
import { clockAt, instantOfMillis, offsetMinutes, parseInstant, type Zone } from "../time/instant";

/** From the bottom up: what matters most stands on the common line, where heights can be compared. */
export const LAYERS = ["error", "warn", "info", "debug", "span", "none"] as const;
export type Layer = (typeof LAYERS)[number];

export const LAYER_WORDS: Record<Layer, string> = {
  error: "errors",
  warn: "warnings",
  info: "info",
  debug: "debug",
  span: "spans",
  none: "without level",
};

export interface Bar {
  /** Milliseconds since the epoch; `until` is exclusive. */
  from: number;
  until: number;
  count: number;
  layers: Record<Layer, number>;
}

export interface Bars {
  bars: Bar[];
  widthNanos: number;
  total: number;
  totals: Record<Layer, number>;
  highest: number;
}

const noLayers = (): Record<Layer, number> => ({ error: 0, warn: 0, info: 0, debug: 0, span: 0, none: 0 });

function layerOf(group: HistogramGroup): Layer {
  const level = levelOfText(group.value ?? "");
  return level === "fatal" ? "error" : level === "trace" ? "debug" : level;
}

/**
 * Bars of an answer by level. Spans have no level: those that failed count as errors, as everywhere on these pages,
 * and the rest apart. The answers may differ by what arrived between them; a bar never shows more than it counts.
 */
export function barsOf(byLevel: HistogramAnswer, spansByStatus: HistogramAnswer): Bars {
  const widthMillis = byLevel.interval_ns / 1e6;
  const spans = spansByStart(spansByStatus, byLevel.interval_ns);
  const totals = noLayers();
  const bars = byLevel.buckets.map((bucket, i) => {
    const layers = noLayers();
    for (const group of byLevel.groups) layers[layerOf(group)] += group.counts[i] ?? 0;
    layers.none += byLevel.other?.counts[i] ?? 0;
    const here = spans.get(bucket.start);
    const all = Math.min(layers.none, here?.all ?? 0);
    const failed = Math.min(all, here?.failed ?? 0);
    layers.none -= all;
    layers.span += all - failed;
    layers.error += failed;
    for (const layer of LAYERS) totals[layer] += layers[layer];
    const from = millisOfText(bucket.start);
    return { from, until: from + widthMillis, count: bucket.count, layers };
  });
  const highest = bars.reduce((most, bar) => Math.max(most, bar.count), 0);
  return { bars, widthNanos: byLevel.interval_ns, total: byLevel.total, totals, highest };
}

function spansByStart(answer: HistogramAnswer, intervalNanos: number): Map<string, { all: number; failed: number }> {
  // Between two questions the time of all records may have outgrown the width.
  if (answer.interval_ns !== intervalNanos) return new Map();
  const failed = answer.groups.find((group) => isErrorStatus(group.value ?? undefined));
  return new Map(answer.buckets.map((bucket, i) => [bucket.start, { all: bucket.count, failed: failed?.counts[i] ?? 0 }]));
}

function millisOfText(text: string): number {
  const instant = parseInstant(text);
  return instant ? instant.seconds * 1000 + instant.nanos / 1e6 : 0;
}

export interface Piece {
  layer: Layer;
  /** Shares of the height of the plot. */
  bottom: number;
  height: number;
}

/**
 * Every bar with a record is at least `least` high, and so are its errors, as far as they leave half of it to the rest:
 * one error among a million would be thinner than a pixel. All else is in proportion.
 */
export function piecesOf(bar: Bar, highest: number, least: number): Piece[] {
  if (bar.count === 0) return [];
  const whole = Math.max(bar.count / highest, least);
  const { error } = bar.layers;
  const rest = bar.count - error;
  const ofErrors = rest === 0 ? whole : error === 0 ? 0 : Math.max((whole * error) / bar.count, Math.min(least, whole / 2));
  const pieces: Piece[] = [];
  let bottom = 0;
  for (const layer of LAYERS) {
    const height = layer === "error" ? ofErrors : ((whole - ofErrors) * bar.layers[layer]) / rest;
    if (bar.layers[layer] === 0) continue;
    pieces.push({ layer, bottom, height });
    bottom += height;
  }
  return pieces;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500,
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 7, 14, 30, 90, 365].map((n) => n * DAY),
];

export interface Tick {
  /** Share of the width. */
  at: number;
  label: string;
}

/** Round times of the reader's zone, at most `count` of them. */
export function ticksOf(bars: readonly Bar[], zone: Zone, count: number): Tick[] {
  const first = bars[0];
  const last = bars.at(-1);
  if (!first || !last) return [];
  const span = last.until - first.from;
  const step = STEPS.find((one) => span / one <= count) ?? span;
  // Days begin at midnight of the zone, not of UTC.
  const shift = offsetMinutes(Math.floor(first.from), zone) * MINUTE;
  const ticks: Tick[] = [];
  for (let n = Math.ceil((first.from + shift) / step); n * step - shift < last.until; n += 1) {
    const time = n * step - shift;
    ticks.push({ at: (time - first.from) / span, label: labelOf(time, step, zone) });
  }
  return ticks;
}

function labelOf(millis: number, step: number, zone: Zone): string {
  const clock = clockAt(instantOfMillis(millis), zone);
  if (step >= DAY || (step >= HOUR && clock.time.startsWith("00:00"))) return clock.date.slice(5);
  if (step < SECOND) return clock.time;
  return step < MINUTE ? clock.time.slice(0, 8) : clock.time.slice(0, 5);
}

/** "2026-11-20 14:03:10 – 14:03:15" in the reader's zone. */
export function describeTimes(from: number, until: number, zone: Zone): string {
  const begin = clockAt(instantOfMillis(from), zone);
  const end = clockAt(instantOfMillis(until), zone);
  const exact = until - from < SECOND;
  const short = (time: string) => (exact ? time : time.replace(/\.000$/, ""));
  return `${begin.date} ${short(begin.time)} – ${end.date === begin.date ? "" : `${end.date} `}${short(end.time)}`;
}

/** "188 records: 3 errors, 9 warnings, 176 spans". */
export function describeCounts(count: number, layers: Record<Layer, number>): string {
  const parts = LAYERS.filter((layer) => layers[layer] > 0).map((layer) => `${layers[layer].toLocaleString("en")} ${LAYER_WORDS[layer]}`);
  return `${count.toLocaleString("en")} ${count === 1 ? "record" : "records"}${parts.length > 0 ? `: ${parts.join(", ")}` : ""}`;
}

/** "30 s"; a day is a day. */
export function describeWidth(nanos: number): string {
  const days = nanos / (DAY * 1e6);
  return days >= 1 && Number.isInteger(days) ? `${days} d` : formatDuration(nanos);
}

/** The times of bars `a` to `b` in either order, within the range that was asked for. */
export function timesOf(bars: readonly Bar[], a: number, b: number, limits: { start?: string; end?: string }): { from: string; to: string } | null {
  const first = bars[Math.min(a, b)];
  const last = bars[Math.max(a, b)];
  if (!first || !last) return null;
  const from = Math.max(first.from, limits.start ? Date.parse(limits.start) : -Infinity);
  const until = Math.min(last.until, limits.end ? Date.parse(limits.end) : Infinity);
  // Addresses hold milliseconds.
  return { from: new Date(Math.floor(from)).toISOString(), to: new Date(Math.ceil(until)).toISOString() };
}
