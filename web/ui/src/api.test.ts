import { expect, it } from "vitest";
import { parseJson } from "./api";
import { jsonText, valueText } from "./text/value";

it("keeps integers that a number cannot hold, where the engine shows the source", () => {
  const parsed = parseJson('{"id":9007199254740993,"n":1.5,"s":"9007199254740993"}') as { id: number | bigint; n: number; s: string };
  expect(parsed.n).toBe(1.5);
  expect(parsed.s).toBe("9007199254740993");
  // Older engines offer no source text and round.
  if (typeof parsed.id === "bigint") expect(valueText(parsed.id)).toBe("9007199254740993");
  else expect(parsed.id).toBe(9007199254740992);
});

it("keeps them in lists and behind spaces, and leaves digits in text alone", () => {
  const parsed = parseJson('{"list":[1, 9007199254740993],"id": -9007199254740993,"s":"x,1234567890123456789"}') as { list: unknown[]; id: unknown; s: string };
  expect(parsed.s).toBe("x,1234567890123456789");
  for (const value of [parsed.list[1], parsed.id]) if (typeof value === "bigint") expect(String(value)).toMatch(/9007199254740993$/);
  expect(parsed.list[0]).toBe(1);
});

it("writes long integers back", () => {
  expect(jsonText({ id: 9007199254740993n })).toMatch(/9007199254740993/);
});
