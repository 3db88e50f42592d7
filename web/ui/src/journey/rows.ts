// Which rows are on the page. A row is one number: a node's index, or ~index of a log.

import { errorsIn, FLAG_CRITICAL, LEVEL_ERROR, type JourneyModel } from "./model";

export type LogMode = "all" | "errors" | "none";

export function isLogRow(row: number): boolean {
  return row < 0;
}

export function logOfRow(row: number): number {
  return ~row;
}

export function rowOfLog(log: number): number {
  return ~log;
}

/** The node that a row is, or hangs on. */
export function nodeOfRow(model: JourneyModel, row: number): number {
  return row < 0 ? (model.logNode[~row] ?? 0) : row;
}

/** One pass over the tree: children and logs of a node interleave in time, folded subtrees are jumped over. */
export function visibleRows(model: JourneyModel, collapsed: Uint8Array, logMode: LogMode): Int32Array {
  const rows = new Int32Array(model.count + model.logs.length);
  const level = logMode === "errors" ? LEVEL_ERROR : 0;
  let count = 0;
  const open: { node: number; log: number }[] = [];

  const emitLogs = (top: { node: number; log: number }, before: number) => {
    if (logMode === "none") return;
    const last = model.logFirst[top.node + 1] ?? 0;
    while (top.log < last && (model.logTime[top.log] ?? 0) < before) {
      if ((model.logLevel[top.log] ?? 0) >= level) rows[count++] = ~top.log;
      top.log += 1;
    }
  };
  const close = () => {
    const top = open.pop();
    if (top) emitLogs(top, Infinity);
  };

  let node = 0;
  while (node < model.count) {
    for (let top = open.at(-1); top && (model.subtreeEnd[top.node] ?? 0) <= node; top = open.at(-1)) close();
    const above = open.at(-1);
    if (above) emitLogs(above, model.start[node] ?? 0);
    rows[count++] = node;
    if (collapsed[node]) {
      node = model.subtreeEnd[node] ?? node + 1;
    } else {
      open.push({ node, log: model.logFirst[node] ?? 0 });
      node += 1;
    }
  }
  while (open.length > 0) close();
  return rows.slice(0, count);
}

/** Whether folding the node would hide anything. */
export function canCollapse(model: JourneyModel, node: number, logMode: LogMode): boolean {
  if ((model.subtreeEnd[node] ?? 0) > node + 1) return true;
  if (logMode === "none") return false;
  const first = model.logFirst[node] ?? 0;
  const last = model.logFirst[node + 1] ?? 0;
  if (logMode === "all") return last > first;
  for (let log = first; log < last; log += 1) if ((model.logLevel[log] ?? 0) >= LEVEL_ERROR) return true;
  return false;
}

const OPEN_ALL_MAX = 2_000;
const OPEN_DEPTH = 3;

/** Small journeys are open; in large ones the critical path and the errors are, the rest down to a depth of three. */
export function initialCollapse(model: JourneyModel): Uint8Array {
  const count = model.count;
  const collapsed = new Uint8Array(count);
  if (count <= OPEN_ALL_MAX && model.nodes !== null) return collapsed;
  for (let node = 0; node < count; node += 1) {
    const deep = (model.depth[node] ?? 0) >= OPEN_DEPTH;
    const matters = ((model.flags[node] ?? 0) & FLAG_CRITICAL) !== 0 || errorsIn(model, node) > 0;
    collapsed[node] = deep && !matters && (model.subtreeEnd[node] ?? 0) > node + 1 ? 1 : 0;
  }
  return collapsed;
}

/** Opens every ancestor, so that the row is on the page. */
export function reveal(model: JourneyModel, collapsed: Uint8Array, row: number): Uint8Array {
  const opened = collapsed.slice();
  let node = row < 0 ? nodeOfRow(model, row) : (model.parent[row] ?? -1);
  while (node >= 0) {
    opened[node] = 0;
    node = model.parent[node] ?? -1;
  }
  return opened;
}

/** Folds or opens one level: folds the deepest open nodes, or opens the shallowest folded ones. */
export function stepLevel(model: JourneyModel, collapsed: Uint8Array, direction: "collapse" | "expand"): Uint8Array {
  const next = collapsed.slice();
  let level = direction === "collapse" ? -1 : Infinity;
  const rows = visibleRows(model, collapsed, "none");
  for (const node of rows) {
    if ((model.subtreeEnd[node] ?? 0) <= node + 1) continue;
    const depth = model.depth[node] ?? 0;
    if (direction === "collapse" && !collapsed[node]) level = Math.max(level, depth);
    if (direction === "expand" && collapsed[node]) level = Math.min(level, depth);
  }
  for (const node of rows) {
    if ((model.depth[node] ?? 0) === level && (model.subtreeEnd[node] ?? 0) > node + 1) {
      next[node] = direction === "collapse" ? 1 : 0;
    }
  }
  return next;
}
