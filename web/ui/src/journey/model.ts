// A journey as columns: everything that drawing, folding and searching need, in typed arrays, in tree order.

import type { Inference, JourneyNode, LogOrSpan } from "../api";
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

/** What is known of every node before the tree and its totals are worked out. */
export interface Outline {
  /** Times are nanoseconds after this. */
  origin: Instant;
  ids: readonly string[];
  /** Places of the nodes above, -1 for roots; parents stand before their children. */
  parent: Int32Array;
  start: Float64Array;
  duration: Float64Array;
  flags: Uint8Array;
  service: Uint16Array;
  serviceNames: readonly string[];
  name: Uint32Array;
  names: readonly string[];
  /** Why nodes stand where no span says so. */
  inferred: ReadonlyMap<number, Inference>;
  /** Logs that belong to each node, and how many of them are errors, also of those that are not loaded. */
  logsTotal: Uint32Array;
  logErrors: Uint32Array;
}

export interface JourneyModel extends Outline {
  count: number;
  /** The nodes as a whole; null of a large journey, where they are fetched one by one. */
  nodes: readonly JourneyNode[] | null;
  depth: Uint16Array;
  /** Index behind the last descendant. */
  subtreeEnd: Uint32Array;
  /** Latest end in the subtree. */
  subtreeUntil: Float64Array;
  /** Logs of node i stand at logFirst[i] up to logFirst[i + 1], in time order; there are none of a large journey. */
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
  return finishModel(outlineOf(nodes, origin), nodes, buildLogs(nodes, origin));
}

/** The same without records: the first page of a large journey, drawn as the rest will be. */
export function buildOutlineOfPage(nodes: readonly JourneyNode[], origin: Instant): JourneyModel {
  return outlineModel(outlineOf(nodes, origin));
}

/** A journey of which only the outline is here. */
export function outlineModel(outline: Outline): JourneyModel {
  return finishModel(outline, null, noLogs(outline.ids.length));
}

function outlineOf(nodes: readonly JourneyNode[], origin: Instant): Outline {
  const count = nodes.length;
  const services = new Texts();
  const names = new Texts();
  const outline = {
    origin,
    ids: nodes.map((node) => node.node_id),
    parent: parentsOf(nodes),
    start: new Float64Array(count),
    duration: new Float64Array(count),
    flags: Uint8Array.from(nodes, flagsOf),
    service: Uint16Array.from(nodes, (node) => services.codeOf(node.service ?? "")),
    serviceNames: services.values,
    name: Uint32Array.from(nodes, (node) => names.codeOf(node.name ?? "")),
    names: names.values,
    inferred: new Map(nodes.flatMap((node, i) => (node.inferred ? [[i, node.inferred] as const] : []))),
    logsTotal: Uint32Array.from(nodes, (node) => Math.max(node.logs_total ?? 0, node.logs?.length ?? 0)),
    logErrors: Uint32Array.from(nodes, (node) => (node.logs ?? []).filter((log) => LEVELS.indexOf(levelOf(log)) >= LEVEL_ERROR).length),
  };
  nodes.forEach((node, i) => {
    const instant = parseInstant(node.start);
    outline.start[i] = instant ? nanosBetween(instant, origin) : 0;
    outline.duration[i] = Number(node.duration_ns) || 0;
  });
  return outline;
}

/** Different texts, numbered as they come. */
class Texts {
  readonly values: string[] = [];
  private readonly codes = new Map<string, number>();

  codeOf(text: string): number {
    let code = this.codes.get(text);
    if (code === undefined) {
      code = this.values.push(text) - 1;
      this.codes.set(text, code);
    }
    return code;
  }
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

/** A parent that is not here makes a root. */
function parentsOf(nodes: readonly JourneyNode[]): Int32Array {
  const parent = new Int32Array(nodes.length).fill(-1);
  const indexOf = new Map<string, number>();
  nodes.forEach((node, i) => {
    const above = node.parent_node_id ? indexOf.get(node.parent_node_id) : undefined;
    if (above !== undefined) parent[i] = above;
    indexOf.set(node.node_id, i);
  });
  return parent;
}

function buildTree(parent: Int32Array) {
  const count = parent.length;
  const depth = new Uint16Array(count);
  const subtreeEnd = new Uint32Array(count);
  for (let i = 0; i < count; i += 1) {
    const above = parent[i] ?? -1;
    if (above >= 0) depth[i] = (depth[above] ?? 0) + 1;
  }
  for (let i = count - 1; i >= 0; i -= 1) {
    if ((subtreeEnd[i] ?? 0) < i + 1) subtreeEnd[i] = i + 1;
    const above = parent[i] ?? -1;
    if (above >= 0) subtreeEnd[above] = Math.max(subtreeEnd[above] ?? 0, subtreeEnd[i] ?? 0);
  }
  return { depth, subtreeEnd };
}

type LogColumns = Pick<JourneyModel, "logs" | "logFirst" | "logNode" | "logTime" | "logLevel">;

function noLogs(count: number): LogColumns {
  return { logs: [], logFirst: new Uint32Array(count + 1), logNode: new Uint32Array(0), logTime: new Float64Array(0), logLevel: new Uint8Array(0) };
}

function buildLogs(nodes: readonly JourneyNode[], origin: Instant): LogColumns {
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
      return { log, time: instant ? nanosBetween(instant, origin) + (node.corrected_by_ns ?? 0) : 0 };
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

function finishModel(outline: Outline, nodes: readonly JourneyNode[] | null, logs: LogColumns): JourneyModel {
  const columns = { ...outline, ...logs, ...buildTree(outline.parent), count: outline.ids.length, nodes };
  return { ...columns, ...buildTotals(columns) };
}

type Columns = Omit<JourneyModel, "subtreeUntil" | "errorsBefore" | "from" | "until">;

function buildTotals(model: Columns) {
  const { count } = model;
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
    errorsBefore[i + 1] = (errorsBefore[i] ?? 0) + ((model.flags[i] ?? 0) & FLAG_ERROR) + (model.logErrors[i] ?? 0);
  }
  for (let log = 0; log < model.logs.length; log += 1) {
    from = Math.min(from, model.logTime[log] ?? 0);
    until = Math.max(until, model.logTime[log] ?? 0);
  }
  for (let i = count - 1; i >= 0; i -= 1) {
    const above = model.parent[i] ?? -1;
    if (above >= 0) subtreeUntil[above] = Math.max(subtreeUntil[above] ?? 0, subtreeUntil[i] ?? 0);
  }
  if (!Number.isFinite(from)) from = 0;
  if (!(until > from)) until = from + 1e6;
  return { subtreeUntil, errorsBefore, from, until };
}

export function serviceOf(model: JourneyModel, node: number): string {
  return model.serviceNames[model.service[node] ?? 0] ?? "";
}

export function nameOf(model: JourneyModel, node: number): string {
  return model.names[model.name[node] ?? 0] ?? "";
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
