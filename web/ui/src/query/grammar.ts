// The query as pieces, as far as the UI has to know them: what is text, what is a field, where an OR and a pipe are. The
// server reads the whole language (`query/LANGUAGE.md`); `query/golden.json` holds the two together.

export type Kind = "open" | "close" | "and" | "or" | "not" | "pipe" | "field" | "phrase" | "regex" | "word";

export interface Token {
  kind: Kind;
  /** A phrase without its quotes; all else as it is written. */
  text: string;
  start: number;
  /** Brackets around it. */
  depth: number;
}

const BLANK = "\\s\\u200b\\u2060\\ufeff";
const ENDS = `(?=[${BLANK})|,]|$)`;
const BLANKS = new RegExp(`^[${BLANK}]+`);
const NEGATION = /^[-!\u2212\u2013](?=[\p{L}\p{N}"(/_@$*])/u;
const KEYWORD = new RegExp(`^(AND|OR|NOT)(?=[${BLANK}()"]|$)`);
const QUOTED = /^"((?:[^"\\]|\\[^])*)"?/;
const CURLY = /^[\u201c-\u201f]((?:[^"\u201c-\u201f\\]|\\[^])*)["\u201c-\u201f]?/;
const SINGLE = new RegExp(`^['\u2018\u2019]([^]*?)['\u2018\u2019]${ENDS}`);
const REGEX = new RegExp(`^/(?:[^/\\\\]|\\\\[^])+/i?${ENDS}`);
const NAME = /^[\p{L}_@$](?:[\p{L}\p{N}_.@$/-]*[\p{L}\p{N}_@$])?(?![\p{L}\p{N}_.@$/-])/u;
const OPERATOR = /^(?::(?![:]|\/\/)(?:[<>]=?)?|!=|!~|=~|==|=(?!>)|[<>]=?)/;
const APART = new RegExp(`^[${BLANK}]+((?:!=|!~|=~|==|[<>]=|=(?!>))[${BLANK}]*|[<>](?:[${BLANK}]+|(?=-?[\\d."])))(?![)<>=|])`);

export function* tokens(query: string): Generator<Token> {
  let depth = 0;
  let start = 0;
  while (start < query.length) {
    const rest = query.slice(start);
    const { kind, length, text } = next(rest);
    if (kind === "close") depth -= 1;
    if (kind !== "blank") yield { kind, text: text ?? rest.slice(0, length), start, depth };
    if (kind === "open") depth += 1;
    start += length;
  }
}

interface Piece {
  kind: Kind | "blank";
  length: number;
  text?: string;
}

function next(rest: string): Piece {
  const is = (kind: Piece["kind"], pattern: RegExp): Piece | null => {
    const length = pattern.exec(rest)?.[0].length;
    return length ? { kind, length } : null;
  };
  const simple = is("blank", BLANKS) ?? is("open", /^\(/) ?? is("close", /^\)/) ?? is("or", /^\|\|/) ?? is("pipe", /^\|/) ?? is("not", NEGATION);
  if (simple) return simple;
  const keyword = KEYWORD.exec(rest)?.[1];
  if (keyword) return { kind: keyword.toLowerCase() as Kind, length: keyword.length };
  const text = textAt(rest);
  const name = text.kind === "phrase" && rest.startsWith('"') ? text.length : (NAME.exec(rest)?.[0].length ?? 0);
  const operator = name > 0 ? operatorLength(rest.slice(name), rest.startsWith('"')) : 0;
  if (operator === 0) return text;
  return { kind: "field", length: name + operator + valueLength(rest.slice(name + operator)) };
}

/** A phrase, a regular expression or a word. */
function textAt(rest: string): Piece {
  for (const quotes of [QUOTED, CURLY, SINGLE]) {
    const match = quotes.exec(rest);
    if (match) return { kind: "phrase", length: match[0].length, text: (match[1] ?? "").replace(/\\(["\\])/g, "$1") };
  }
  const regex = REGEX.exec(rest);
  return regex ? { kind: "regex", length: regex[0].length } : { kind: "word", length: wordLength(rest) };
}

/** Up to a blank, a pipe, a quote, or a bracket that does not close within the word. */
function wordLength(rest: string): number {
  const word = new RegExp(`^[^][^${BLANK}|"\u201c-\u201f]*`).exec(rest)?.[0] ?? rest;
  let depth = 0;
  for (let index = 0; index < word.length; index += 1) {
    if (word[index] === "\\") index += 1;
    else if (word[index] === "(" && (depth > 0 || closes(word.slice(index)))) depth += 1;
    else if (word[index] === ")" && depth > 0) depth -= 1;
    else if (word[index] === "(" || word[index] === ")") return index;
  }
  return word.length;
}

function closes(word: string): boolean {
  let depth = 0;
  for (const character of word) {
    depth += character === "(" ? 1 : character === ")" ? -1 : 0;
    if (depth === 0) return true;
  }
  return false;
}

/** Of the operator and the blanks around it; 0 where the name is a word of a sentence, a type or a path. */
function operatorLength(rest: string, quoted: boolean): number {
  const operator = OPERATOR.exec(rest)?.[0];
  if (operator === undefined) return quoted ? 0 : (APART.exec(rest)?.[0].length ?? 0);
  const value = rest.slice(operator.length);
  const blanks = BLANKS.exec(value)?.[0].length ?? 0;
  if (quoted) return operator.length + blanks;
  if (operator === ":" && (value === "" || blanks > 0)) return 0;
  if (operator === "<" && /^\S*>/.test(value)) return 0;
  if (operator === ":" && value.startsWith("\\")) return 0;
  return operator.length + (operator === "=" ? 0 : blanks);
}

function valueLength(rest: string): number {
  if (!rest.startsWith("(")) return /^[)|]/.test(rest) || BLANKS.test(rest) || rest === "" ? 0 : textAt(rest).length;
  let depth = 0;
  let length = 0;
  while (length < rest.length) {
    const character = rest[length];
    depth += character === "(" ? 1 : character === ")" ? -1 : 0;
    if (depth === 0) return length + 1;
    const quoted = character === '"' ? QUOTED.exec(rest.slice(length))?.[0].length : undefined;
    length += quoted ?? 1;
  }
  return length;
}
