// Log text is hostile. What would hide, reorder or forge text is shown as an escape; nothing becomes markup.

export interface Piece {
  text: string;
  /** "escape": a character made visible. "mark": a word of the query. */
  kind: "text" | "escape" | "mark";
}

// C0 and C1 controls, bidirectional controls, zero-width and invisible characters, tags, lone surrogates.
// The zero-width joiners stay: emoji and several scripts need them. So does a newline or tab, where lines are kept.
const HIDDEN =
  // oxlint-disable-next-line no-control-regex
  /[\u0000-\u001F\u007F-\u009F\u00AD\u061C\u180E\u200B\u200E\u200F\u2028-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB]|[\u{E0000}-\u{E007F}]|\p{Cs}/gu;

function nameOf(character: string): string {
  if (character === "\n") return "↵";
  if (character === "\t") return "⇥";
  const code = character.codePointAt(0) ?? 0;
  return `‹U+${code.toString(16).toUpperCase().padStart(4, "0")}›`;
}

/** Cuts text into plain pieces and escapes. `multiline` keeps newlines and tabs as they are. */
export function visiblePieces(text: string, multiline = false): Piece[] {
  const pieces: Piece[] = [];
  let last = 0;
  for (const match of text.matchAll(HIDDEN)) {
    const character = match[0];
    if (multiline && (character === "\n" || character === "\t")) continue;
    if (character === "\r" && text[match.index + 1] === "\n") {
      if (match.index > last) pieces.push({ text: text.slice(last, match.index), kind: "text" });
      last = match.index + 1;
      continue;
    }
    if (match.index > last) pieces.push({ text: text.slice(last, match.index), kind: "text" });
    pieces.push({ text: nameOf(character), kind: "escape" });
    last = match.index + character.length;
  }
  if (last < text.length) pieces.push({ text: text.slice(last), kind: "text" });
  return pieces;
}

/** The same as one string, for titles, labels and canvas text. */
export function visibleText(text: string): string {
  return visiblePieces(text)
    .map((piece) => piece.text)
    .join("");
}

/** Marks words (lower case) in the plain pieces. */
export function markWords(pieces: Piece[], words: readonly string[]): Piece[] {
  if (words.length === 0) return pieces;
  const pattern = new RegExp(words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "giu");
  return pieces.flatMap((piece) => (piece.kind === "text" ? markPiece(piece.text, pattern) : [piece]));
}

function markPiece(text: string, pattern: RegExp): Piece[] {
  const pieces: Piece[] = [];
  let last = 0;
  for (const match of text.matchAll(pattern)) {
    if (match[0] === "") continue;
    if (match.index > last) pieces.push({ text: text.slice(last, match.index), kind: "text" });
    pieces.push({ text: match[0], kind: "mark" });
    last = match.index + match[0].length;
  }
  if (last < text.length) pieces.push({ text: text.slice(last), kind: "text" });
  return pieces;
}

/** Cuts at a character, not inside one. */
export function clampText(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  const splitsPair = /[\uD800-\uDBFF]/.test(text.charAt(lengthMax - 1));
  return text.slice(0, splitsPair ? lengthMax - 1 : lengthMax);
}
