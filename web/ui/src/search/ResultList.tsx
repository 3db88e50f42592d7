// The list of records, newest first: virtual rows that open in place.

import { useVirtualizer } from "@tanstack/react-virtual";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState, type RefObject } from "react";
import type { LogOrSpan } from "../api";
import type { Filter } from "../components/RecordFields";
import { useHotkeys } from "../keys/hotkeys";
import { clockAt, instantOfMillis, type Zone } from "../time/instant";
import { journeyIdOf, ResultRow } from "./ResultRow";

export type ResultItem = { type: "record"; key: string; record: LogOrSpan } | { type: "gap"; key: string; skipped: number };

interface ResultListProps {
  items: readonly ResultItem[];
  words: readonly string[];
  zone: Zone;
  onFilter: Filter;
  /** Called when the end comes near. */
  onEnd?: () => void;
  scroller: RefObject<HTMLDivElement | null>;
  onScroll?: () => void;
  footer?: React.ReactNode;
}

const ROWS_BEFORE_END = 30;

export function ResultList({ items, words, zone, onFilter, onEnd, scroller, onScroll, footer }: ResultListProps) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [active, setActive] = useState<string | null>(null);
  const narrow = useNarrow();
  const today = clockAt(instantOfMillis(Date.now()), zone).date;
  // In order of time the ends say it for all.
  const showDate = [items[0], items.at(-1)].some((item) => item?.type === "record" && !sameDay(item.record.timestamp, today, zone));

  const virtual = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => (narrow ? 52 : 28),
    getItemKey: (index) => items[index]?.key ?? index,
    overscan: 12,
  });
  const rows = virtual.getVirtualItems();
  const last = rows.at(-1)?.index ?? -1;
  useEffect(() => {
    if (onEnd && last >= items.length - ROWS_BEFORE_END) onEnd();
  }, [last, items.length, onEnd]);

  const toggle = (key: string) => {
    setActive(key);
    setOpen((before) => {
      const next = new Set(before);
      if (!next.delete(key)) next.add(key);
      return next;
    });
  };
  useRowKeys({ items, active, setActive, toggle, scrollTo: (index) => virtual.scrollToIndex(index, { align: "auto" }), scroller });

  return (
    <div ref={scroller} className="min-h-0 flex-1 overflow-y-auto overflow-x-hidden [overflow-anchor:none]" onScroll={onScroll} tabIndex={-1}>
      <ul aria-label="Records" className="relative" style={{ height: virtual.getTotalSize() }}>
        {rows.map((row) => {
          const item = items[row.index];
          if (!item) return null;
          return (
            <li
              key={row.key}
              ref={virtual.measureElement}
              data-index={row.index}
              aria-setsize={items.length}
              aria-posinset={row.index + 1}
              className="absolute inset-x-0 top-0"
              style={{ transform: `translateY(${row.start}px)` }}
            >
              {item.type === "gap" ? (
                <GapRow skipped={item.skipped} />
              ) : (
                <ResultRow
                  record={item.record}
                  words={words}
                  zone={zone}
                  showDate={showDate}
                  open={open.has(item.key)}
                  active={active === item.key}
                  sameId={sharesId(item, items[row.index - 1])}
                  onToggle={() => toggle(item.key)}
                  onFilter={onFilter}
                />
              )}
            </li>
          );
        })}
      </ul>
      {footer}
    </div>
  );
}

function sharesId(item: ResultItem, above: ResultItem | undefined): boolean {
  if (item.type !== "record" || above?.type !== "record") return false;
  return journeyIdOf(item.record) !== undefined && journeyIdOf(item.record) === journeyIdOf(above.record);
}

function GapRow({ skipped }: { skipped: number }) {
  return (
    <div className="border-y border-dashed border-warn bg-warn-soft px-4 py-1 text-sm text-warn">
      Gap: {skipped.toLocaleString("en")} records were accepted here and not looked at, matching or not. A search finds them.
    </div>
  );
}

function sameDay(timestamp: string, today: string, zone: Zone): boolean {
  const millis = Date.parse(timestamp);
  return Number.isFinite(millis) && clockAt(instantOfMillis(millis), zone).date === today;
}

interface RowKeys {
  items: readonly ResultItem[];
  active: string | null;
  setActive: (key: string) => void;
  toggle: (key: string) => void;
  scrollTo: (index: number) => void;
  scroller: RefObject<HTMLDivElement | null>;
}

function useRowKeys({ items, active, setActive, toggle, scrollTo, scroller }: RowKeys): void {
  const navigate = useNavigate();
  const step = (by: 1 | -1) => {
    if (items.length === 0) return;
    const at = items.findIndex((item) => item.key === active);
    const next = Math.min(items.length - 1, Math.max(0, at + by));
    const item = items[next];
    if (!item) return;
    setActive(item.key);
    scrollTo(next);
    // The row may be drawn only after the scrolling.
    requestAnimationFrame(() => {
      scroller.current?.querySelector<HTMLElement>(`[data-index="${next}"] [data-toggle]`)?.focus({ preventScroll: true });
    });
  };
  useHotkeys({
    j: () => step(1),
    k: () => step(-1),
    Enter: () => (active === null ? false : toggle(active)),
    o: () => {
      const item = items.find((one) => one.key === active);
      const id = item?.type === "record" ? journeyIdOf(item.record) : undefined;
      if (id === undefined) return false;
      void navigate({ to: "/journey/$id", params: { id } });
      return undefined;
    },
  });
}

function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(() => matchMedia("(max-width: 719px)").matches);
  const media = useRef(matchMedia("(max-width: 719px)"));
  useEffect(() => {
    const query = media.current;
    const listener = () => setNarrow(query.matches);
    query.addEventListener("change", listener);
    return () => query.removeEventListener("change", listener);
  }, []);
  return narrow;
}
