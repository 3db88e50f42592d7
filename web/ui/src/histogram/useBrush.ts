// Choosing bars: by dragging, or with the keys of a slider.

import { useEffect, useRef, useState, type RefObject } from "react";

export interface Brush {
  /** The bar under the pointer or the keys. */
  at: number | null;
  /** Where the choice began; null while nothing is chosen. */
  anchor: number | null;
}

const NONE: Brush = { at: null, anchor: null };

/** A choice belongs to the `bars` it was made in. */
export function useBrush(plot: RefObject<HTMLElement | null>, bars: readonly unknown[], onChoose: (a: number, b: number) => void, onBack: () => void): Brush {
  const [brush, setBrush] = useState<Brush>(NONE);
  const count = bars.length;
  const latest = useRef({ brush, count, onChoose, onBack });
  latest.current = { brush, count, onChoose, onBack };
  useEffect(() => setBrush(NONE), [bars]);
  useEffect(() => {
    const element = plot.current;
    if (!element) return;
    const change = (next: Brush) => {
      latest.current.brush = next;
      setBrush(next);
    };
    const barAt = (event: PointerEvent) => {
      const box = element.getBoundingClientRect();
      const bar = Math.floor(((event.clientX - box.left) / box.width) * latest.current.count);
      return Math.min(latest.current.count - 1, Math.max(0, bar));
    };
    let dragging = false;
    const down = (event: PointerEvent) => {
      if (event.button !== 0) return;
      dragging = true;
      element.setPointerCapture(event.pointerId);
      change({ at: barAt(event), anchor: barAt(event) });
    };
    const move = (event: PointerEvent) => change({ at: barAt(event), anchor: dragging ? latest.current.brush.anchor : null });
    const up = () => {
      const { at, anchor } = latest.current.brush;
      if (dragging && at !== null && anchor !== null && at !== anchor) latest.current.onChoose(anchor, at);
      dragging = false;
      change({ at, anchor: null });
    };
    const drop = () => {
      dragging = false;
      change(NONE);
    };
    const leave = () => {
      if (!dragging) change(NONE);
    };
    const back = () => latest.current.onBack();
    const key = (event: KeyboardEvent) => {
      const next = afterKey(latest.current.brush, latest.current.count, event);
      if (next === null) return;
      event.preventDefault();
      if (next === "choose") latest.current.onChoose(latest.current.brush.anchor ?? latest.current.brush.at ?? 0, latest.current.brush.at ?? 0);
      else change(next);
    };
    const listeners = { pointerdown: down, pointermove: move, pointerup: up, pointercancel: drop, pointerleave: leave, dblclick: back, keydown: key, blur: drop };
    for (const [name, listener] of Object.entries(listeners)) element.addEventListener(name, listener as EventListener);
    return () => {
      for (const [name, listener] of Object.entries(listeners)) element.removeEventListener(name, listener as EventListener);
    };
  }, [plot]);
  return brush;
}

/** What a key makes of the choice; null when it means nothing here. */
export function afterKey(brush: Brush, count: number, key: { key: string; shiftKey: boolean; ctrlKey: boolean; metaKey: boolean; altKey: boolean }): Brush | "choose" | null {
  if (key.ctrlKey || key.metaKey || key.altKey) return null;
  if (key.key === "Enter") return brush.at === null ? null : "choose";
  if (key.key === "Escape") return brush.at === null ? null : NONE;
  const from = brush.at ?? count;
  const targets: Record<string, number> = { ArrowLeft: from - 1, ArrowRight: from + 1, PageUp: from + 10, PageDown: from - 10, Home: 0, End: count - 1 };
  const target = targets[key.key];
  if (target === undefined) return null;
  const at = Math.min(count - 1, Math.max(0, target));
  return { at, anchor: key.shiftKey ? (brush.anchor ?? brush.at ?? at) : null };
}
