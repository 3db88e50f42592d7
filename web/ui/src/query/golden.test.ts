// What the UI adds to a query and marks in the results fits what the query means: the server's tests read the same list.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { addCondition, columnOfByte, wordsToMark } from "./edit";

interface Golden {
  query: string;
  /** Absent where the query is refused. */
  means?: string;
  /** What is marked in the results; nothing where it is absent. */
  marks?: string[];
  /** The query with `added:1` beside it, where that is more than writing it behind. */
  with?: string;
  /** Where a refused query is wrong: a byte, and the column if it is another number. */
  at?: number;
  column?: number;
}

const golden = JSON.parse(readFileSync(new URL("../../../../query/golden.json", import.meta.url), "utf8")) as Golden[];

describe("a query that is answered", () => {
  it.each(golden.filter((one) => one.means !== undefined))("$query", ({ query, marks, with: added }) => {
    expect(wordsToMark(query)).toEqual(marks ?? []);
    expect(addCondition(query, "added:1")).toBe(added ?? `${query.trim()} added:1`.trim());
  });
});

describe("a query that is refused", () => {
  it.each(golden.filter((one) => one.at !== undefined))("$query", ({ query, at = 0, column }) => {
    expect(columnOfByte(query, at)).toBe(column ?? at);
  });
});
