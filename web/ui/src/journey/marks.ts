// What the server says of single nodes beside the tree: where nothing was recorded, and which children are alike.

import type { JourneyHead, SiblingGroup } from "../api";
import { formatDuration } from "../time/duration";
import { nanosBetween, parseInstant } from "../time/instant";
import { visibleText } from "../text/visible";
import type { JourneyModel } from "./model";

export interface Gap {
  /** Nanoseconds after the journey's origin. */
  from: number;
  until: number;
}

export interface Group extends SiblingGroup {
  /** The slowest one's place; -1 while it is not loaded. */
  slowest: number;
}

export interface Marks {
  gaps: ReadonlyMap<number, readonly Gap[]>;
  /** By parent; -1 for roots. The one that took most time in all comes first. */
  groups: ReadonlyMap<number, readonly Group[]>;
  /** Nodes with gaps, in tree order. */
  gapRows: readonly number[];
  gapCount: number;
}

export function buildMarks(head: Pick<JourneyHead, "gaps" | "groups">, model: JourneyModel): Marks {
  const gaps = new Map<number, Gap[]>();
  const groups = new Map<number, Group[]>();
  const places = placesOf(head, model);
  for (const gap of head.gaps ?? []) {
    const node = places.get(gap.node_id);
    const start = parseInstant(gap.start);
    if (node === undefined || !start) continue;
    const from = nanosBetween(start, model.origin);
    listAt(gaps, node).push({ from, until: from + gap.duration_ns });
  }
  for (const group of head.groups ?? []) {
    const parent = group.parent_node_id === null ? -1 : places.get(group.parent_node_id);
    if (parent !== undefined) listAt(groups, parent).push({ ...group, slowest: places.get(group.slowest_node_id) ?? -1 });
  }
  for (const list of groups.values()) list.sort((a, b) => b.total_ns - a.total_ns);
  const gapCount = [...gaps.values()].reduce((sum, list) => sum + list.length, 0);
  return { gaps, groups, gapRows: [...gaps.keys()].sort((a, b) => a - b), gapCount };
}

function placesOf({ gaps, groups }: Pick<JourneyHead, "gaps" | "groups">, model: JourneyModel): Map<string, number> {
  const wanted = new Set((gaps ?? []).map((gap) => gap.node_id));
  for (const group of groups ?? []) {
    wanted.add(group.slowest_node_id);
    if (group.parent_node_id !== null) wanted.add(group.parent_node_id);
  }
  const places = new Map<string, number>();
  if (wanted.size > 0) model.ids.forEach((id, i) => wanted.has(id) && places.set(id, i));
  return places;
}

function listAt<T>(lists: Map<number, T[]>, key: number): T[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}

/** "nothing recorded for 34 ms" */
export function gapText(gap: Gap): string {
  return `nothing recorded for ${formatDuration(gap.until - gap.from)}`;
}

/** "212 × SELECT orders, 3.4 s in all, slowest 120 ms" */
export function groupText(group: SiblingGroup): string {
  const failed = group.errors > 0 ? `, ${group.errors.toLocaleString("en")} failed` : "";
  return `${group.count.toLocaleString("en")} × ${visibleText(group.name) || "(no name)"}, ${formatDuration(group.total_ns)} in all, slowest ${formatDuration(group.slowest_ns)}${failed}`;
}
