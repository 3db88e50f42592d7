import { describe, expect, it } from "vitest";
import { clampText, markWords, visiblePieces, visibleText } from "./visible";

describe("hostile text", () => {
  it.each([
    ["plain ünïcode 文字 👩‍👩‍👧", "plain ünïcode 文字 👩‍👩‍👧"],
    ["a\u202Egnp.exe", "a‹U+202E›gnp.exe"],
    ["\u001b[31mred", "‹U+001B›[31mred"],
    ["nul\u0000", "nul‹U+0000›"],
    ["zero\u200Bwidth\uFEFF", "zero‹U+200B›width‹U+FEFF›"],
    ["iso\u2066late\u2069", "iso‹U+2066›late‹U+2069›"],
    ["tag\u{E0041}", "tag‹U+E0041›"],
    ["lone \uD800 surrogate", "lone ‹U+D800› surrogate"],
    ["one\nline\tonly", "one↵line⇥only"],
    ["windows\r\nline", "windows↵line"],
    ["bare\rreturn", "bare‹U+000D›return"],
  ])("%j", (text, shown) => expect(visibleText(text)).toBe(shown));

  it("keeps lines and tabs where lines are kept", () => {
    expect(visiblePieces("a\n\tb\u202E", true)).toEqual([
      { text: "a\n\tb", kind: "text" },
      { text: "‹U+202E›", kind: "escape" },
    ]);
  });

  it("keeps every character of the plain text", () => {
    const markup = `<img src=x onerror="alert(1)"> &amp; https://example.com`;
    expect(visiblePieces(markup)).toEqual([{ text: markup, kind: "text" }]);
  });
});

it("marks words in any case, and never inside an escape", () => {
  const pieces = markWords(visiblePieces("U+202E Declined\u202E declined."), ["declined", "u+202e"]);
  expect(pieces.filter((p) => p.kind === "mark").map((p) => p.text)).toEqual(["U+202E", "Declined", "declined"]);
  expect(pieces.map((p) => p.text).join("")).toBe("U+202E Declined‹U+202E› declined.");
});

it("clamps between characters", () => {
  expect(clampText("ab😀cd", 3)).toBe("ab");
  expect(clampText("ab😀cd", 4)).toBe("ab😀");
  expect(clampText("short", 10)).toBe("short");
});
