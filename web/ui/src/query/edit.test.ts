import { describe, expect, it } from "vitest";
import { addCondition, canFilter, columnOfByte, condition, shellQuote, wordsToMark } from "./edit";

describe("a condition", () => {
  it.each([
    ["service", "checkout", false, "service:checkout"],
    ["service", "check out", false, 'service:"check out"'],
    ["body", 'say "hi" \\ bye', false, 'body:"say \\"hi\\" \\\\ bye"'],
    ["level", "error", true, "-level:error"],
    ["url.path", "/api/*", false, 'url.path:"/api/*"'],
    ["note", "OR", false, 'note:"OR"'],
    ["empty", "", false, 'empty:""'],
  ])("%s = %s", (field, value, negated, expected) => expect(condition(field, value, negated)).toBe(expected));

  it("is offered only for names that the language can say", () => {
    expect(canFilter("http.response.status_code")).toBe(true);
    expect(canFilter("weird key")).toBe(false);
    expect(canFilter('a"b')).toBe(false);
  });
});

describe("adding a condition", () => {
  it.each([
    ["", "a:b", "a:b"],
    ["timeout", "a:b", "timeout a:b"],
    ["  Timeout   level:WARN ", "a:b", "Timeout   level:WARN a:b"],
    ["a OR b", "c:d", "(a OR b) c:d"],
    ["(a OR b) c", "d:e", "(a OR b) c d:e"],
    ['"this OR that"', "c:d", '"this OR that" c:d'],
    ["/x OR y/", "c:d", "/x OR y/ c:d"],
    ["error | count() by service", "a:b", "error a:b | count() by service"],
    ["a OR b | count()", "c:d", "(a OR b) c:d | count()"],
    ['"a | b"', "c:d", '"a | b" c:d'],
    ["url.path:/api/* x OR y", "c:d", "(url.path:/api/* x OR y) c:d"],
  ])("%s + %s", (query, added, expected) => expect(addCondition(query, added)).toBe(expected));
});

it("marks words and phrases, not fields", () => {
  expect(wordsToMark('Timeout "card declined" service:pay -web level>=warn refus* | count()')).toEqual(["timeout", "card declined", "refus"]);
  expect(wordsToMark('body:"not this" NOT a')).toEqual([]);
});

it("finds the column of a byte offset", () => {
  expect(columnOfByte("abc (", 4)).toBe(4);
  expect(columnOfByte("größe:(", 8)).toBe(6);
  expect(columnOfByte("😀 (", 5)).toBe(2);
});

it("quotes for a shell", () => {
  expect(shellQuote("level:error")).toBe("level:error");
  expect(shellQuote(`it's $HOME`)).toBe(`'it'\\''s $HOME'`);
});
