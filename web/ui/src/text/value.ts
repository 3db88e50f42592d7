// Attribute values as text.

import type { Attributes, LogOrSpan, Value } from "../api";

export function valueText(value: Value | undefined): string {
  if (value === undefined) return "";
  if (typeof value === "string") return value;
  if (typeof value === "object" && value !== null) return jsonText(value);
  return String(value);
}

/** JSON with exact integers; `indent` for reading. */
export function jsonText(value: unknown, indent?: number): string {
  const rawJson = (JSON as { rawJSON?: (text: string) => unknown }).rawJSON;
  const exact = (_key: string, v: unknown) => (typeof v === "bigint" ? (rawJson ? rawJson(String(v)) : String(v)) : v);
  return JSON.stringify(value, exact, indent);
}

/** What a record says: a log's message, a span's name. */
export function messageOf(record: LogOrSpan): string {
  if (record.kind === "span") return record.name ?? "";
  return valueText(record.body) || record.event_name || "";
}

export function sortedEntries(attributes: Attributes | undefined): [string, Value][] {
  return Object.entries(attributes ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
}
