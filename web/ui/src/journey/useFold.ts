// Which nodes are folded, kept across reloads as soon as the reader has folded or opened anything.

import { useCallback, useMemo, useRef, useState } from "react";
import type { JourneyModel } from "./model";
import { initialCollapse, reveal, stepLevel, visibleRows, type LogMode } from "./rows";

interface Choice {
  model: JourneyModel;
  collapsed: Uint8Array;
}

export interface Fold {
  collapsed: Uint8Array;
  rows: Int32Array;
  toggle: (node: number, open?: boolean) => void;
  step: (direction: "collapse" | "expand") => void;
  reveal: (row: number) => void;
}

export function useFold(model: JourneyModel, logMode: LogMode): Fold {
  const [choice, setChoice] = useState<Choice | null>(null);
  const collapsed = useMemo(() => (choice ? carryOver(choice, model) : initialCollapse(model)), [choice, model]);
  const rows = useMemo(() => visibleRows(model, collapsed, logMode), [model, collapsed, logMode]);
  const latest = useRef({ model, collapsed });
  latest.current = { model, collapsed };

  const change = useCallback((next: (now: Choice) => Uint8Array) => {
    const now = latest.current;
    const after = next(now);
    latest.current = { model: now.model, collapsed: after };
    setChoice({ model: now.model, collapsed: after });
  }, []);
  const toggle = useCallback(
    (node: number, open?: boolean) =>
      change((now) => {
        const after = now.collapsed.slice();
        after[node] = open === undefined ? 1 - (after[node] ?? 0) : open ? 0 : 1;
        return after;
      }),
    [change],
  );
  const step = useCallback((direction: "collapse" | "expand") => change((now) => stepLevel(now.model, now.collapsed, direction)), [change]);
  const revealRow = useCallback((row: number) => change((now) => reveal(now.model, now.collapsed, row)), [change]);
  return { collapsed, rows, toggle, step, reveal: revealRow };
}

/** Nodes keep their state by id; new ones start as in a fresh journey. */
function carryOver(choice: Choice, model: JourneyModel): Uint8Array {
  if (choice.model === model) return choice.collapsed;
  const before = new Map(choice.model.ids.map((id, i) => [id, choice.collapsed[i] ?? 0] as const));
  const collapsed = initialCollapse(model);
  model.ids.forEach((id, i) => {
    const kept = before.get(id);
    if (kept !== undefined) collapsed[i] = kept;
  });
  return collapsed;
}
