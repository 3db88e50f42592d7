import { describe, expect, it } from "vitest";
import type { HistogramAnswer } from "../api";
import { barsOf, describeCounts, describeTimes, describeWidth, piecesOf, ticksOf, timesOf } from "./bars";
import { afterKey } from "./useBrush";

const SECOND = 1e9;
const START = Date.UTC(2026, 10, 20, 14, 0);

function answer(counts: number[], groups: [string | null, number[]][], intervalNanos = 10 * SECOND): HistogramAnswer {
  const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
  return {
    buckets: counts.map((count, i) => ({ start: new Date(START + (i * intervalNanos) / 1e6).toISOString(), count })),
    interval_ns: intervalNanos,
    total: sum(counts),
    groups: groups.map(([value, list]) => ({ value, total: sum(list), counts: list })),
    other: null,
    completeness: { state: "complete" },
  };
}

const byLevel = answer([10, 0, 7], [["info", [3, 0, 2]], ["FATAL", [1, 0, 0]], ["error", [1, 0, 0]], [null, [5, 0, 5]]]);
const spans = answer([4, 0, 9], [["unset", [3, 0, 3]], ["error", [1, 0, 6]]]);

describe("bars", () => {
  it("count failed spans as errors, and what has no level apart", () => {
    const { bars } = barsOf(byLevel, spans);
    expect(bars[0]?.layers).toEqual({ error: 3, warn: 0, info: 3, debug: 0, span: 3, none: 1 });
  });

  it("never show more than was counted, whatever arrived between the questions", () => {
    const { bars, totals } = barsOf(byLevel, spans);
    for (const bar of bars) expect(Object.values(bar.layers).reduce((a, b) => a + b, 0)).toBe(bar.count);
    expect(Object.values(totals).reduce((a, b) => a + b, 0)).toBe(17);
  });

  it("do not mix counts of different widths", () => {
    const { bars } = barsOf(byLevel, answer([9], [["error", [9]]], 60 * SECOND));
    expect(bars[0]?.layers.none).toBe(5);
  });

  it("keep one error among a million to be seen, within the height of all", () => {
    const { bars, highest } = barsOf(answer([1_000_000], [["info", [999_999]], ["error", [1]]]), answer([0], []));
    expect(piecesOf(bars[0]!, highest, 0.04)).toEqual([
      { layer: "error", bottom: 0, height: 0.04 },
      { layer: "info", bottom: 0.04, height: 0.96 },
    ]);
  });

  it("are as high as they count, and never let errors hide the rest", () => {
    const { bars, highest } = barsOf(answer([100, 10, 1, 0], [["info", [60, 5, 0, 0]], ["warn", [0, 4, 0, 0]], ["error", [40, 1, 1, 0]]]), answer([0, 0, 0, 0], []));
    const heights = bars.map((bar) => piecesOf(bar, highest, 0.04).map((piece) => Number(piece.height.toFixed(3))));
    expect(heights).toEqual([[0.4, 0.6], [0.04, 0.027, 0.033], [0.04], []]);
    const few = barsOf(answer([1_000, 2], [["info", [1_000, 1]], ["error", [0, 1]]]), answer([0, 0], []));
    expect(piecesOf(few.bars[1]!, few.highest, 0.04).map((piece) => piece.height)).toEqual([0.02, 0.02]);
  });

  it("are told in words", () => {
    const { bars } = barsOf(byLevel, spans);
    expect(describeCounts(10, bars[0]!.layers)).toBe("10 records: 3 errors, 3 info, 3 spans, 1 without level");
    expect(describeTimes(START, START + 10_000, "Europe/Berlin")).toBe("2026-11-20 15:00:00 – 15:00:10");
    expect(describeTimes(START, START + 0.5, "UTC")).toBe("2026-11-20 14:00:00.000 – 14:00:00.000");
    expect([describeWidth(15 * SECOND), describeWidth(86_400 * SECOND)]).toEqual(["15 s", "1 d"]);
  });

  it("have ticks at round times of the reader's zone", () => {
    const day = answer(Array.from({ length: 48 }, () => 1), [], 3600 * SECOND);
    const { bars } = barsOf(day, answer([], []));
    expect(ticksOf(bars, "Asia/Kolkata", 4).map((tick) => tick.label)).toEqual(["11-21", "12:00", "11-22", "12:00"]);
    expect(ticksOf([], "UTC", 8)).toEqual([]);
  });

  it("become a range that does not reach beyond the one asked for", () => {
    const { bars } = barsOf(byLevel, spans);
    const limits = { start: new Date(START + 3_000).toISOString() };
    expect(timesOf(bars, 1, 0, limits)).toEqual({ from: "2026-11-20T14:00:03.000Z", to: "2026-11-20T14:00:20.000Z" });
    expect(timesOf(bars, 0, 9, {})).toBeNull();
  });
});

describe("the keys of the bars", () => {
  const key = (name: string, shiftKey = false) => ({ key: name, shiftKey, ctrlKey: false, metaKey: false, altKey: false });

  it("begin at the latest bar and stay within", () => {
    expect(afterKey({ at: null, anchor: null }, 5, key("ArrowLeft"))).toEqual({ at: 4, anchor: null });
    expect(afterKey({ at: 4, anchor: null }, 5, key("ArrowRight"))).toEqual({ at: 4, anchor: null });
  });

  it("widen with Shift, and Enter takes what is chosen", () => {
    expect(afterKey({ at: 3, anchor: null }, 5, key("ArrowLeft", true))).toEqual({ at: 2, anchor: 3 });
    expect(afterKey({ at: 2, anchor: 3 }, 5, key("Enter"))).toBe("choose");
    expect(afterKey({ at: null, anchor: null }, 5, key("Enter"))).toBeNull();
  });
});
