// The model of a large journey, from the columns that the server sends of it.

import type { Skeleton } from "../api";
import { isErrorStatus } from "../level";
import { parseInstant } from "../time/instant";
import { FLAG_CRITICAL, FLAG_ERROR, FLAG_INFERRED, FLAG_MISSING, outlineModel, type JourneyModel } from "./model";

/** Ids of nodes that are no spans: services that only log. */
const UNMEASURED = /^(inferred|logs)-/;

export function buildSkeleton(skeleton: Skeleton): JourneyModel {
  const { columns } = skeleton;
  return outlineModel({
    origin: parseInstant(skeleton.start) ?? { seconds: 0, nanos: 0 },
    ids: columns.node_id,
    parent: Int32Array.from(columns.parent),
    start: Float64Array.from(columns.start_after_ns),
    duration: Float64Array.from(columns.duration_ns),
    flags: flagsOf(skeleton),
    service: Uint16Array.from(columns.service.codes),
    serviceNames: columns.service.values,
    name: Uint32Array.from(columns.name.codes),
    names: columns.name.values,
    inferred: new Map(skeleton.inferred.map(({ node, ...why }) => [node, why])),
    logsTotal: Uint32Array.from(columns.logs),
    logErrors: Uint32Array.from(columns.log_errors),
  });
}

function flagsOf({ columns, critical, missing, inferred }: Skeleton): Uint8Array {
  const failed = columns.status.values.map(isErrorStatus);
  const flags = Uint8Array.from(columns.status.codes, (code) => (failed[code] ? FLAG_ERROR : 0));
  const set = (node: number, flag: number) => {
    flags[node] = (flags[node] ?? 0) | flag;
  };
  for (const node of critical) set(node, FLAG_CRITICAL);
  for (const node of missing) set(node, FLAG_MISSING);
  for (const { node } of inferred) if (UNMEASURED.test(columns.node_id[node] ?? "")) set(node, FLAG_INFERRED);
  return flags;
}
