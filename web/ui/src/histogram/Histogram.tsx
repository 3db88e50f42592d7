// How many records there are over time, above the list. Dragging, or arrows and Enter, choose a time range.

import { useMemo, useRef } from "react";
import type { Completeness } from "../api";
import { visibleText } from "../text/visible";
import type { Zone } from "../time/instant";
import type { ResolvedRange, TimeRange } from "../time/range";
import { describeCounts, describeTimes, describeWidth, LAYER_WORDS, LAYERS, piecesOf, ticksOf, timesOf, type Bar, type Bars } from "./bars";
import { useBrush, type Brush } from "./useBrush";
import type { Counts } from "./useHistogram";

interface HistogramProps {
  counts: Counts;
  range: ResolvedRange;
  zone: Zone;
  onRange: (range: TimeRange) => void;
  /** Back to the range before. */
  onBack: () => void;
}

/** Every state has the same height, so that the list below does not jump. */
export function Histogram({ counts, range, zone, onRange, onBack }: HistogramProps) {
  const { bars, stale, error } = counts;
  const choose = (a: number, b: number) => {
    const times = timesOf(bars?.bars ?? [], a, b, range);
    if (times) onRange(times);
  };
  const words = error ? `Counts are missing: ${visibleText(error.message)}` : bars?.total === 0 ? "No matching records" : "";
  return (
    <section aria-label="Records over time" className="histogram px-3 pt-1.5 sm:px-4">
      <Caption counts={counts} />
      <div className="relative">
        {/* Also without a record there is a time to choose, and a way back. */}
        {!error && bars && bars.bars.length > 0 ? (
          <Plot bars={bars} stale={stale} zone={zone} onChoose={choose} onBack={onBack} />
        ) : (
          <div className="hist-plot" />
        )}
        <p className="hist-words">{words}</p>
      </div>
    </section>
  );
}

function Caption({ counts: { bars, completeness, error } }: { counts: Counts }) {
  const partial = completeness !== null && completeness.state !== "complete";
  return (
    <div className="flex h-5 items-center gap-x-3 overflow-hidden text-xs whitespace-nowrap text-muted">
      {bars && !error && (
        <>
          <span className="tabular-nums">
            <span className="font-semibold text-text">{bars.total.toLocaleString("en")}</span>
            {partial ? <NotAll completeness={completeness} /> : bars.total === 1 ? " record" : " records"}
          </span>
          {bars.total > 0 && (
            <span>
              1 bar = {describeWidth(bars.widthNanos)}
              <span className="max-sm:hidden">, the highest {bars.highest.toLocaleString("en")}</span>
            </span>
          )}
          <ul aria-label="Colours" className="ml-auto flex gap-x-3">
            {LAYERS.filter((layer) => bars.totals[layer] > 0).map((layer) => (
              <li key={layer} title={layer === "error" ? "Errors are drawn larger where one could not be seen." : undefined} className={`items-center gap-1 tabular-nums ${layer === "error" || (layer === "warn" && !partial) ? "flex" : "hidden sm:flex"}`}>
                <span aria-hidden="true" className={`size-2 rounded-[2px] hist-key-${layer}`} />
                <span className={layer === "error" ? "font-semibold text-error" : ""}>{bars.totals[layer].toLocaleString("en")}</span> {LAYER_WORDS[layer]}
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

/** The line of the list below tells most often the same reasons, so they are not written out here. */
function NotAll({ completeness }: { completeness: Completeness }) {
  const why = [completeness.state, ...(completeness.reasons ?? []).map(visibleText)].join(": ");
  return (
    <span className="font-medium text-warn" title={why}>
      {" "}counted, not all<span className="visually-hidden">, {why}</span>
    </span>
  );
}

interface PlotProps {
  bars: Bars;
  stale: boolean;
  zone: Zone;
  onChoose: (a: number, b: number) => void;
  onBack: () => void;
}

const PLOT_HEIGHT = 52;
/** An error among a million records is still two pixels. */
const LEAST_SHARE = 2 / PLOT_HEIGHT;

function Plot({ bars, stale, zone, onChoose, onBack }: PlotProps) {
  const plot = useRef<HTMLDivElement>(null);
  const brush = useBrush(plot, bars.bars, onChoose, onBack);
  const shown = brush.at;
  const bar = shown === null ? undefined : bars.bars[shown];
  const chosen = brush.anchor !== null && shown !== null && brush.anchor !== shown ? sumOf(bars.bars, brush.anchor, shown) : undefined;
  const told = chosen ?? bar;
  return (
    <div className={`relative ${stale ? "opacity-60" : ""}`}>
      {/* A slider over the bars: arrows move, Shift and arrows widen, Enter takes the time as the range. */}
      <div
        ref={plot}
        className="hist-plot relative cursor-crosshair touch-pan-y select-none"
        role="slider"
        tabIndex={0}
        aria-label="Records over time. Arrows move, Shift and arrows widen, Enter searches that time."
        aria-valuemin={0}
        aria-valuemax={bars.bars.length - 1}
        aria-valuenow={shown ?? bars.bars.length - 1}
        aria-valuetext={told ? `${describeTimes(told.from, told.until, zone)}, ${describeCounts(told.count, told.layers)}` : describeCounts(bars.total, bars.totals)}
      >
        <Columns bars={bars} />
        {brush.at !== null && <Cursor brush={brush} count={bars.bars.length} />}
      </div>
      <Axis bars={bars.bars} zone={zone} />
      {told && <Tip bar={told} at={((shown ?? 0) + 0.5) / bars.bars.length} zone={zone} />}
    </div>
  );
}

function Columns({ bars }: { bars: Bars }) {
  const count = bars.bars.length;
  return useMemo(
    () => (
      <svg aria-hidden="true" className="absolute inset-0 size-full" viewBox={`0 0 ${count} 1`} preserveAspectRatio="none" shapeRendering="crispEdges">
        {bars.bars.map((bar, i) =>
          piecesOf(bar, bars.highest, LEAST_SHARE).map((piece) => (
            <rect key={`${bar.from}${piece.layer}`} className={`hist-${piece.layer}`} x={i + 0.08} width={0.84} y={1 - piece.bottom - piece.height} height={piece.height} />
          )),
        )}
      </svg>
    ),
    [bars, count],
  );
}

function Cursor({ brush, count }: { brush: Brush; count: number }) {
  const at = brush.at ?? 0;
  const first = Math.min(at, brush.anchor ?? at);
  const width = Math.abs(at - (brush.anchor ?? at)) + 1;
  return (
    <span
      aria-hidden="true"
      className={`pointer-events-none absolute inset-y-0 ${brush.anchor === null ? "bg-text/8" : "border-x border-accent bg-accent/20"}`}
      style={{ left: `${(first / count) * 100}%`, width: `${(width / count) * 100}%` }}
    />
  );
}

const TICK_PIXELS = 90;
/** A label that begins later would be cut. */
const LABEL_PIXELS = 56;

function Axis({ bars, zone }: { bars: readonly Bar[]; zone: Zone }) {
  const ticks = useMemo(() => ticksOf(bars, zone, Math.max(2, Math.floor(window.innerWidth / TICK_PIXELS))), [bars, zone]);
  return (
    <div aria-hidden="true" className="relative h-4 overflow-hidden text-[10px] leading-4 text-faint tabular-nums">
      {ticks.filter((tick) => (1 - tick.at) * window.innerWidth > LABEL_PIXELS).map((tick) => (
        <span key={tick.at} className="hist-tick" style={{ left: `${tick.at * 100}%` }}>{tick.label}</span>
      ))}
    </div>
  );
}

/** What the bar below the pointer, or the chosen ones, hold. */
function Tip({ bar, at, zone }: { bar: Bar; at: number; zone: Zone }) {
  return (
    <div aria-hidden="true" className="hist-tip pop" style={at < 0.5 ? { left: `calc(${at * 100}% + 10px)` } : { right: `calc(${(1 - at) * 100}% + 10px)` }}>
      <p className="whitespace-nowrap text-muted tabular-nums">{describeTimes(bar.from, bar.until, zone)}</p>
      <p className="font-semibold tabular-nums">{bar.count.toLocaleString("en")} {bar.count === 1 ? "record" : "records"}</p>
      <ul>
        {LAYERS.filter((layer) => bar.layers[layer] > 0).map((layer) => (
          <li key={layer} className="flex items-center gap-1.5">
            <span aria-hidden="true" className={`size-2 rounded-[2px] hist-key-${layer}`} />
            <span className="min-w-8 text-right tabular-nums">{bar.layers[layer].toLocaleString("en")}</span>
            <span className="text-muted">{LAYER_WORDS[layer]}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function sumOf(bars: readonly Bar[], a: number, b: number): Bar | undefined {
  const chosen = bars.slice(Math.min(a, b), Math.max(a, b) + 1);
  const first = chosen[0];
  const last = chosen.at(-1);
  if (!first || !last) return undefined;
  const layers = { ...first.layers };
  for (const bar of chosen.slice(1)) for (const layer of LAYERS) layers[layer] += bar.layers[layer];
  return { from: first.from, until: last.until, count: chosen.reduce((sum, bar) => sum + bar.count, 0), layers };
}
