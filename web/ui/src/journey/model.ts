// A journey as columns: everything that drawing, folding and searching need, in typed arrays, in tree order.

import type { JourneyNode, LogOrSpan } from "../api";
import { levelOf, type Level, isErrorStatus } from "../level";
import { nanosBetween, parseInstant, type Instant } from "../time/instant";

export const FLAG_ERROR = 1;
export const FLAG_CRITICAL = 2;
/** Not measured: no span was sent for it. */
export const FLAG_INFERRED = 4;
export const FLAG_MISSING = 8;

export const LEVELS: readonly Level[] = ["none", "trace", "debug", "info", "warn", "error", "fatal"];
export const LEVEL_WARN = LEVELS.indexOf("warn");
export const LEVEL_ERROR = LEVELS.indexOf("error");

export interface JourneyModel {
  /** Times are nanoseconds after this. */
  origin: Instant;
  nodes: readonly JourneyNode[];
  parent: Int32Array;
  depth: Uint16Array;
  /** Index behind the last descendant. */
  subtreeEnd: Uint32Array;
  start: Float64Array;
  duration: Float64Array;
  /** Latest end in the subtree. */
  subtreeUntil: Float64Array;
  flags: Uint8Array;
  service: Uint16Array;
  serviceNames: readonly string[];
  /** Logs of node i stand at logFirst[i] up to logFirst[i + 1], in time order. */
  logs: readonly LogOrSpan[];
  logFirst: Uint32Array;
  logNode: Uint32Array;
  logTime: Float64Array;
  logLevel: Uint8Array;
  /** Errors (nodes and their logs) in nodes before i. */
  errorsBefore: Uint32Array;
  /** First and last moment, nanoseconds after the origin. */
  from: number;
  until: number;
}

export function buildModel(nodes: readonly JourneyNode[], origin: Instant): JourneyModel {
  const count = nodes.length;
  const { parent, depth, subtreeEnd } = buildTree(nodes);
  const start = new Float64Array(count);
  const duration = new Float64Array(count);
  const flags = new Uint8Array(count);
  const service = new Uint16Array(count);
  const serviceNames: string[] = [];
  const serviceIndex = new Map<string, number>();
  nodes.forEach((node, i) => {
    const instant = parseInstant(node.start);
    start[i] = instant ? nanosBetween(instant, origin) : 0;
    duration[i] = Number(node.duration_ns) || 0;
    flags[i] = flagsOf(node);
    const name = node.service ?? "";
    let index = serviceIndex.get(name);
    if (index === undefined) {
      index = serviceNames.push(name) - 1;
      serviceIndex.set(name, index);
    }
    service[i] = index;
  });
  const logColumns = buildLogs(nodes, origin);
  const model = { origin, nodes, parent, depth, subtreeEnd, start, duration, flags, service, serviceNames, ...logColumns };
  return { ...model, ...buildTotals(model) };
}

function flagsOf(node: JourneyNode): number {
  return (
    (isErrorStatus(node.status) ? FLAG_ERROR : 0) |
    (node.critical ? FLAG_CRITICAL : 0) |
    // A span whose place is inferred was measured all the same.
    (node.inferred && !node.span ? FLAG_INFERRED : 0) |
    (node.missing ? FLAG_MISSING : 0)
  );
}

/** Parents stand before their children; a parent that is not here makes a root. */
function buildTree(nodes: readonly JourneyNode[]) {
  const count = nodes.length;
  const parent = new Int32Array(count).fill(-1);
  const depth = new Uint16Array(count);
  const subtreeEnd = new Uint32Array(count);
  const indexOf = new Map<string, number>();
  nodes.forEach((node, i) => {
    const above = node.parent_node_id ? indexOf.get(node.parent_node_id) : undefined;
    if (above !== undefined) {
      parent[i] = above;
      depth[i] = (depth[above] ?? 0) + 1;
    }
    indexOf.set(node.node_id, i);
  });
  for (let i = count - 1; i >= 0; i -= 1) {
    if ((subtreeEnd[i] ?? 0) < i + 1) subtreeEnd[i] = i + 1;
    const above = parent[i] ?? -1;
    if (above >= 0) subtreeEnd[above] = Math.max(subtreeEnd[above] ?? 0, subtreeEnd[i] ?? 0);
  }
  return { parent, depth, subtreeEnd };
}

function buildLogs(nodes: readonly JourneyNode[], origin: Instant) {
  const logFirst = new Uint32Array(nodes.length + 1);
  let total = 0;
  nodes.forEach((node, i) => {
    total += node.logs?.length ?? 0;
    logFirst[i + 1] = total;
  });
  const logs: LogOrSpan[] = [];
  const logNode = new Uint32Array(total);
  const logTime = new Float64Array(total);
  const logLevel = new Uint8Array(total);
  nodes.forEach((node, i) => {
    const timed = (node.logs ?? []).map((log) => {
      const instant = parseInstant(log.timestamp);
      return { log, time: instant ? nanosBetween(instant, origin) : 0 };
    });
    for (const { log, time } of timed.sort((a, b) => a.time - b.time)) {
      const at = logs.push(log) - 1;
      logNode[at] = i;
      logTime[at] = time;
      logLevel[at] = Math.max(0, LEVELS.indexOf(levelOf(log)));
    }
  });
  return { logs, logFirst, logNode, logTime, logLevel };
}

type Columns = Omit<JourneyModel, "subtreeUntil" | "errorsBefore" | "from" | "until">;

function buildTotals(model: Columns) {
  const count = model.nodes.length;
  const subtreeUntil = new Float64Array(count);
  const errorsBefore = new Uint32Array(count + 1);
  let from = Infinity;
  let until = -Infinity;
  for (let i = 0; i < count; i += 1) {
    const begin = model.start[i] ?? 0;
    const end = begin + Math.max(0, model.duration[i] ?? 0);
    subtreeUntil[i] = Math.max(end, model.logTime[(model.logFirst[i + 1] ?? 0) - 1] ?? end);
    from = Math.min(from, begin);
    until = Math.max(until, end);
    errorsBefore[i + 1] = (errorsBefore[i] ?? 0) + ((model.flags[i] ?? 0) & FLAG_ERROR);
  }
  for (let log = 0; log < model.logs.length; log += 1) {
    from = Math.min(from, model.logTime[log] ?? 0);
    until = Math.max(until, model.logTime[log] ?? 0);
  }
  addLogErrors(model, errorsBefore);
  for (let i = count - 1; i >= 0; i -= 1) {
    const above = model.parent[i] ?? -1;
    if (above >= 0) subtreeUntil[above] = Math.max(subtreeUntil[above] ?? 0, subtreeUntil[i] ?? 0);
  }
  if (!Number.isFinite(from)) from = 0;
  if (!(until > from)) until = from + 1e6;
  return { subtreeUntil, errorsBefore, from, until };
}

function addLogErrors(model: Columns, errorsBefore: Uint32Array): void {
  let added = 0;
  for (let i = 0; i < model.nodes.length; i += 1) {
    const last = model.logFirst[i + 1] ?? 0;
    for (let log = model.logFirst[i] ?? 0; log < last; log += 1) {
      if ((model.logLevel[log] ?? 0) >= LEVEL_ERROR) added += 1;
    }
    errorsBefore[i + 1] = (errorsBefore[i + 1] ?? 0) + added;
  }
}

/** Errors in the node, its logs and everything below. */
export function errorsIn(model: JourneyModel, node: number): number {
  return (model.errorsBefore[model.subtreeEnd[node] ?? 0] ?? 0) - (model.errorsBefore[node] ?? 0);
}

/** Rows of the logs of a node and everything below, in time order. */
export function rowsOfSubtreeLogs(model: JourneyModel, node: number): number[] {
  const first = model.logFirst[node] ?? 0;
  const last = model.logFirst[model.subtreeEnd[node] ?? 0] ?? 0;
  const logs = Array.from({ length: last - first }, (_, i) => first + i);
  logs.sort((a, b) => (model.logTime[a] ?? 0) - (model.logTime[b] ?? 0));
  return logs.map((log) => ~log);
}
