// Text that came from outside: always text nodes, hidden characters shown.

import { useState } from "react";
import { clampText, markWords, visiblePieces } from "../text/visible";

const LINE_LENGTH_MAX = 1_000;
const BLOCK_LENGTH_MAX = 4_000;

interface DataProps {
  text: string;
  words?: readonly string[];
  className?: string;
}

function Pieces({ text, words, multiline }: { text: string; words: readonly string[] | undefined; multiline: boolean }) {
  return markWords(visiblePieces(text, multiline), words ?? []).map((piece, i) => {
    if (piece.kind === "text") return piece.text;
    const className = piece.kind === "escape" ? "escape" : "marked";
    // Pieces have no identity of their own; they are replaced together with their text.
    // oxlint-disable-next-line react/no-array-index-key
    return <span key={i} className={className}>{piece.text}</span>;
  });
}

/** One line; what does not fit on any screen is cut. */
export function DataLine({ text, words, className = "" }: DataProps) {
  const shown = clampText(text, LINE_LENGTH_MAX);
  return (
    <bdi className={`data ${className}`}>
      <Pieces text={shown} words={words} multiline={false} />
      {shown.length < text.length && "…"}
    </bdi>
  );
}

/** All of it, with its own line breaks; very long text opens on demand. */
export function DataBlock({ text, words, className = "" }: DataProps) {
  const [whole, setWhole] = useState(false);
  const shown = whole ? text : clampText(text, BLOCK_LENGTH_MAX);
  return (
    <>
      <bdi className={`data whitespace-pre-wrap ${className}`}>
        <Pieces text={shown} words={words} multiline />
        {shown.length < text.length && "…"}
      </bdi>
      {text.length > BLOCK_LENGTH_MAX && (
        <button type="button" className="mt-1 block text-sm font-medium text-accent hover:underline" onClick={() => setWhole(!whole)}>
          {whole ? "Show less" : `Show all ${text.length.toLocaleString("en")} characters`}
        </button>
      )}
    </>
  );
}
