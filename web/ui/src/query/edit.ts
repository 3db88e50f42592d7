// Edits of the query text. What was typed stays as it was typed; conditions are added beside it.

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

interface Token {
  text: string;
  depth: number;
  start: number;
}

/** Words of the query outside quotes and regular expressions, with their bracket depth. */
function* tokens(query: string): Generator<Token> {
  let depth = 0;
  let index = 0;
  while (index < query.length) {
    const character = query.charAt(index);
    if (character === '"') {
      index = endOfQuoted(query, index, '"');
    } else if (character === "/" && !/[\w:.]/.test(query.charAt(index - 1))) {
      index = endOfQuoted(query, index, "/");
    } else if (character === "(" || character === ")") {
      depth += character === "(" ? 1 : -1;
      index += 1;
    } else if (/\s/.test(character)) {
      index += 1;
    } else {
      const start = index;
      index += 1;
      if (character !== "|") while (index < query.length && !/[\s()"|]/.test(query.charAt(index))) index += 1;
      yield { text: query.slice(start, index), depth, start };
    }
  }
}

function endOfQuoted(query: string, start: number, mark: string): number {
  let index = start + 1;
  while (index < query.length && query.charAt(index) !== mark) index += query.charAt(index) === "\\" ? 2 : 1;
  return index + 1;
}

function hasTopLevelOr(query: string): boolean {
  for (const token of tokens(query)) if (token.depth === 0 && token.text === "OR") return true;
  return false;
}

function splitPipe(query: string): { search: string; pipe: string } {
  for (const token of tokens(query)) {
    if (token.depth === 0 && token.text === "|") {
      return { search: query.slice(0, token.start), pipe: query.slice(token.start) };
    }
  }
  return { search: query, pipe: "" };
}

/** The words and phrases that a reader would like to see marked in the results, lower case. */
export function wordsToMark(query: string): string[] {
  const words: string[] = [];
  const { search } = splitPipe(query);
  for (const [, phrase] of search.matchAll(/(?:^|[\s(])"((?:[^"\\]|\\.)+)"/g)) words.push((phrase ?? "").toLowerCase());
  for (const token of tokens(search)) {
    if (/[:<>=!]/.test(token.text) || /^[-*"/]/.test(token.text) || /^(AND|OR|NOT)$/.test(token.text)) continue;
    const word = token.text.replaceAll("*", "").toLowerCase();
    if (word.length > 1) words.push(word);
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
