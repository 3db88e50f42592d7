// Edits of the query text. What was typed stays as it was typed; conditions are added beside it.

import { tokens } from "./grammar";

/** Characters that may stand in a field name without being read as something else. */
const FIELD_NAME = /^[A-Za-z_@][\w.@/-]*$/;

export function canFilter(field: string): boolean {
  return FIELD_NAME.test(field);
}

export function quote(value: string): string {
  return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** `field:value`, quoted when the value could be read otherwise; negated with `-`. */
export function condition(field: string, value: string, negated = false): string {
  const bare = /^[A-Za-z0-9_][\w.@-]*$/.test(value) && !/^(AND|OR|NOT)$/.test(value);
  return `${negated ? "-" : ""}${field}:${bare ? value : quote(value)}`;
}

/** Adds a condition to a query: before a pipe, and with brackets around an OR that it would split. */
export function addCondition(query: string, added: string): string {
  const { search, pipe } = splitPipe(query);
  const typed = search.trim();
  const joined = typed === "" ? added : `${hasTopLevelOr(typed) ? `(${typed})` : typed} ${added}`;
  return pipe === "" ? joined : `${joined} ${pipe}`;
}

function hasTopLevelOr(query: string): boolean {
  for (const token of tokens(query)) if (token.depth === 0 && token.kind === "or") return true;
  return false;
}

function splitPipe(query: string): { search: string; pipe: string } {
  for (const token of tokens(query)) {
    if (token.depth === 0 && token.kind === "pipe") {
      return { search: query.slice(0, token.start), pipe: query.slice(token.start) };
    }
  }
  return { search: query, pipe: "" };
}

/** The words and phrases that a reader would like to see marked in the results, lower case. Those that must not be there are not. */
export function wordsToMark(query: string): string[] {
  const words: string[] = [];
  let negated = false;
  let negatedFrom: number | null = null;
  for (const { kind, text, depth } of tokens(splitPipe(query).search)) {
    if (kind === "not") {
      negated = !negated;
      continue;
    }
    if (kind === "open" && negated) negatedFrom ??= depth;
    if (kind === "close" && depth === negatedFrom) negatedFrom = null;
    // A star within a word stands for letters that are not known.
    const word = (kind === "word" ? text.replace(/\*$/, "").replace(/^[^\p{L}\p{N}*]+|[^\p{L}\p{N}*]+$/gu, "") : text).toLowerCase();
    const isText = kind === "phrase" || (kind === "word" && !word.includes("*"));
    if (isText && !negated && negatedFrom === null && word.length > 1) words.push(word);
    negated = false;
  }
  return words;
}

/** The column of a byte offset, for a caret below the text. */
export function columnOfByte(query: string, byteOffset: number): number {
  const bytes = new TextEncoder().encode(query).slice(0, byteOffset);
  return [...new TextDecoder().decode(bytes)].length;
}

/** Quotes an argument for a POSIX shell. */
export function shellQuote(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}
