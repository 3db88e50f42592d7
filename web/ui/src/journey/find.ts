// Finding rows in a journey: by text, or errors. Results stand in the order of the page with everything unfolded.

import { messageOf, valueText } from "../text/value";
import { FLAG_ERROR, LEVEL_ERROR, nameOf, serviceOf, type JourneyModel } from "./model";
import { visibleRows } from "./rows";

function everyRow(model: JourneyModel): Int32Array {
  return visibleRows(model, new Uint8Array(model.count), "all");
}

export function errorRows(model: JourneyModel): number[] {
  return [...everyRow(model)].filter((row) =>
    row < 0 ? (model.logLevel[~row] ?? 0) >= LEVEL_ERROR : isErrorNode(model, row),
  );
}

/** Logs that are not loaded have no rows: their node stands for them. */
function isErrorNode(model: JourneyModel, node: number): boolean {
  return ((model.flags[node] ?? 0) & FLAG_ERROR) !== 0 || (model.nodes === null && (model.logErrors[node] ?? 0) > 0);
}

const haystacks = new WeakMap<object, string>();

function haystack(model: JourneyModel, row: number): string {
  // Of a large journey only this much is here.
  if (row >= 0 && model.nodes === null) return `${serviceOf(model, row)}\n${nameOf(model, row)}\n${model.ids[row]}`.toLowerCase();
  const owner = row < 0 ? model.logs[~row] : model.nodes?.[row];
  if (!owner) return "";
  let text = haystacks.get(owner);
  if (text === undefined) {
    const node = row < 0 ? undefined : model.nodes?.[row];
    const record = row < 0 ? model.logs[~row] : node?.span;
    const parts = [node?.service, node?.name, record?.service, record ? messageOf(record) : "", record?.span_id];
    for (const value of Object.values(record?.attributes ?? {})) parts.push(valueText(value));
    text = parts.filter(Boolean).join("\n").toLowerCase();
    haystacks.set(owner, text);
  }
  return text;
}

/** Rows that hold every word. */
export function findRows(model: JourneyModel, text: string): number[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [];
  return [...everyRow(model)].filter((row) => {
    const hay = haystack(model, row);
    return words.every((word) => hay.includes(word));
  });
}

/** The next one after (or before) the selected row, going round. `order` is the page with everything unfolded. */
export function stepThrough(model: JourneyModel, found: readonly number[], from: number | null, step: 1 | -1): number | null {
  if (found.length === 0) return null;
  const at = from === null ? -1 : found.indexOf(from);
  if (at >= 0) return found[(at + step + found.length) % found.length] ?? null;
  if (from === null) return (step === 1 ? found[0] : found.at(-1)) ?? null;
  const place = new Map([...everyRow(model)].map((row, i) => [row, i] as const));
  const here = place.get(from) ?? -1;
  const later = found.filter((row) => (place.get(row) ?? 0) > here);
  if (step === 1) return later[0] ?? found[0] ?? null;
  return found[found.length - later.length - 1] ?? found.at(-1) ?? null;
}
