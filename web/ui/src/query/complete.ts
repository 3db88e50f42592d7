// What could follow where the caret stands: the name of a field, or one of its values.

import type { Field } from "../api";
import { canFilter, quote } from "./edit";

export interface Asked {
  /** The field whose value is being typed; null while its name is. */
  field: string | null;
  typed: string;
  /** Where the typed part begins in the text; it ends at the caret. */
  from: number;
}

const NAME = /(?:^|[\s(])-?([A-Za-z_@][\w.@/-]*)$/;
const VALUE = /(?:^|[\s(])-?([A-Za-z_@][\w.@/-]*)(?::|!=|>=|<=|>|<|=)("(?:[^"\\]|\\.)*|[^\s()":<>=*]*)$/;

/** Null inside of phrases and words, and where anything may follow. */
export function askedAt(text: string, caret: number): Asked | null {
  const before = text.slice(0, caret);
  if (!/^($|[\s)])/.test(text.slice(caret))) return null;
  const match = VALUE.exec(before) ?? NAME.exec(before);
  if (!match || isInPhrase(before.slice(0, match.index))) return null;
  const [, name = "", value] = match;
  if (value === undefined) return { field: null, typed: name, from: caret - name.length };
  const typed = value.startsWith('"') ? value.slice(1).replace(/\\(.)/g, "$1") : value;
  return { field: name, typed, from: caret - value.length };
}

function isInPhrase(text: string): boolean {
  return text.replace(/\\./g, "").split('"').length % 2 === 0;
}

const SUGGESTIONS_MAX = 8;

/** Fields by how well they fit, then by how many records have them. */
export function fieldsFor(typed: string, fields: readonly Field[]): Field[] {
  const word = typed.toLowerCase();
  const rank = (name: string) => {
    if (name.startsWith(word)) return 0;
    return name.split(/[._]/).some((part) => part.startsWith(word)) ? 1 : name.includes(word) ? 2 : 3;
  };
  return fields
    .filter((field) => canFilter(field.name) && field.name !== typed)
    .map((field) => ({ field, rank: rank(field.name.toLowerCase()) }))
    .filter((one) => one.rank < 3)
    .sort((a, b) => a.rank - b.rank || b.field.count - a.field.count)
    .slice(0, SUGGESTIONS_MAX)
    .map((one) => one.field);
}

/** What stands in the query for a name: a duration is compared, all else looked for. */
export function textOfField(field: Field): string {
  return `${field.name}${field.type === "duration" ? ">" : ":"}`;
}

/** A value as the query takes it, and room for the next word. */
export function textOfValue(value: string): string {
  const bare = /^[A-Za-z0-9_][\w.@-]*$/.test(value) && !/^(AND|OR|NOT)$/.test(value);
  return `${bare ? value : quote(value)} `;
}

/** Ids and texts are different in every record: their most frequent values help nobody. */
export function hasFewValues(field: string, fields: readonly Field[]): boolean {
  const known = fields.find((one) => one.name === field);
  return known === undefined || (!["id", "duration"].includes(known.type) && known.name !== "body");
}
