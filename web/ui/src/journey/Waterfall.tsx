// The tree: virtual rows of text, each with its own small canvas for the bar. Rows and bars can never part.

import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { FLAG_CRITICAL, serviceOf, type JourneyModel } from "./model";
import type { Marks } from "./marks";
import { WaterfallRow } from "./WaterfallRow";
import type { Stage } from "./stage";
import { Splitter } from "./Splitter";
import { TimeRuler } from "./TimeRuler";
import { useWaterfallPointer } from "./useWaterfallPointer";
import { canCollapse, type LogMode } from "./rows";

interface WaterfallProps {
  model: JourneyModel;
  rows: Int32Array;
  collapsed: Uint8Array;
  logMode: LogMode;
  stage: Stage;
  selected: number | null;
  found: ReadonlySet<number>;
  focusService: string | null;
  marks: Marks;
  onSelect: (row: number) => void;
  onToggle: (node: number, open?: boolean) => void;
  onJump: (node: number) => void;
}

/** Browsers cannot scroll further than some 17 million pixels. */
const ROWS_MAX = 700_000;

export function Waterfall(p: WaterfallProps) {
  const { model, rows, collapsed, logMode, stage, selected, onSelect, onToggle } = p;
  const root = useRef<HTMLDivElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const ruler = useRef<HTMLDivElement>(null);
  const [narrow, setNarrow] = useState(false);
  const height = narrow ? 36 : 24;
  const hasCritical = useMemo(() => model.flags.some((flags) => (flags & FLAG_CRITICAL) !== 0), [model]);

  useLayoutEffect(() => {
    const measured = ruler.current;
    if (!measured) return;
    const measure = () => {
      const isNarrow = matchMedia("(max-width: 719px)").matches;
      setNarrow(isNarrow);
      stage.setWidth(measured.clientWidth, !isNarrow);
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(measured);
    return () => observer.disconnect();
  }, [stage]);

  const virtual = useVirtualizer({
    count: Math.min(rows.length, ROWS_MAX),
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    overscan: 8,
  });
  useEffect(() => virtual.measure(), [height, virtual]);
  const shown = useRef<number | null>(null);
  useEffect(() => {
    // Once for every selection: folding elsewhere must not pull the reader back to it.
    if (selected === shown.current) return;
    const index = selected === null ? -1 : rows.indexOf(selected);
    if (index >= 0) virtual.scrollToIndex(index, { align: "auto" });
    if (index >= 0 || selected === null) shown.current = selected;
  }, [selected, rows, virtual]);
  useWaterfallPointer(scroller, ruler, stage);
  const items = virtual.getVirtualItems();
  const slots = Math.max(64, 2 ** Math.ceil(Math.log2(items.length + 1)));

  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const handled = moveSelection(event.key, p, Math.floor((scroller.current?.clientHeight ?? 400) / height) - 1);
    if (handled) event.preventDefault();
  };

  return (
    <div ref={root} className="waterfall relative flex min-h-0 min-w-0 flex-1 flex-col">
      <div className="flex h-7 shrink-0 border-b border-line bg-surface">
        <div data-split className="hidden w-(--split) shrink-0 items-center justify-between border-r border-line px-3 text-xs font-medium text-faint sm:flex">
          Service and operation
          {hasCritical && (
            <span className="flex items-center gap-1.5" title="The chain of spans that decided how long it took. An estimate.">
              <span aria-hidden="true" className="h-0.5 w-4 bg-thread" /> critical path
            </span>
          )}
        </div>
        <div ref={ruler} className="relative min-w-0 flex-1"><TimeRuler stage={stage} /></div>
      </div>
      <Splitter root={root} />
      <div
        ref={scroller}
        role="treegrid"
        aria-label="Journey"
        aria-rowcount={rows.length}
        aria-activedescendant={selected === null ? undefined : `row${selected}`}
        tabIndex={0}
        className="relative min-h-0 flex-1 overflow-x-hidden overflow-y-auto focus-visible:-outline-offset-2"
        onKeyDown={onKeyDown}
      >
        <div role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const row = rows[item.index] ?? 0;
            const collapsible = row >= 0 && canCollapse(model, row, logMode);
            return (
              <WaterfallRow
                // Rows that leave lend their elements and canvas to rows that come.
                key={item.index % slots}
                row={row}
                index={item.index}
                top={item.start}
                height={height}
                behind={narrow}
                model={model}
                stage={stage}
                collapsible={collapsible}
                collapsed={row >= 0 && collapsed[row] === 1}
                selected={row === selected}
                found={p.found.has(row)}
                dimmed={isDimmed(model, row, p.focusService)}
                onSelect={onSelect}
                gaps={p.marks.gaps.get(row)}
                groups={p.marks.groups.get(row)}
                onToggle={onToggle}
                onJump={p.onJump}
              />
            );
          })}
        </div>
        {rows.length > ROWS_MAX && <p className="p-4 text-warn">{(rows.length - ROWS_MAX).toLocaleString("en")} more rows: fold some to see them.</p>}
      </div>
    </div>
  );
}

function isDimmed(model: JourneyModel, row: number, focus: string | null): boolean {
  if (focus === null) return false;
  const node = row >= 0 ? row : (model.logNode[~row] ?? 0);
  const name = (row < 0 ? model.logs[~row]?.service : undefined) ?? serviceOf(model, node);
  return name !== focus;
}

/** Arrow keys as in a tree; answers whether the key meant anything. */
function moveSelection(key: string, p: WaterfallProps, page: number): boolean {
  const { rows, selected, model } = p;
  if (rows.length === 0) return false;
  const at = selected === null ? -1 : rows.indexOf(selected);
  const go = (index: number) => {
    const row = rows[Math.min(rows.length - 1, Math.max(0, index))];
    if (row !== undefined) p.onSelect(row);
    return true;
  };
  const row = selected ?? 0;
  const isNode = selected !== null && row >= 0;
  const isOpen = isNode && p.collapsed[row] === 0;
  const above = row >= 0 ? (model.parent[row] ?? -1) : (model.logNode[~row] ?? -1);
  switch (key) {
    case "ArrowDown":
      return go(at + 1);
    case "ArrowUp":
      return go(at < 0 ? 0 : at - 1);
    case "PageDown":
      return go(at + page);
    case "PageUp":
      return go(at - page);
    case "Home":
      return go(0);
    case "End":
      return go(rows.length - 1);
    case "ArrowRight":
      if (isNode && !isOpen) p.onToggle(row, true);
      else if (isNode && canCollapse(model, row, p.logMode)) go(at + 1);
      return true;
    case "ArrowLeft":
      if (isNode && isOpen && canCollapse(model, row, p.logMode)) p.onToggle(row, false);
      else if (selected !== null && above >= 0) p.onSelect(above);
      return true;
    default:
      return false;
  }
}
