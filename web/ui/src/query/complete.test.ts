import { describe, expect, it } from "vitest";
import { askedAt, fieldsFor, hasFewValues, textOfField, textOfValue } from "./complete";

const at = (marked: string) => askedAt(marked.replace("|", ""), marked.indexOf("|"));
const field = (name: string, count: number, type = "string") => ({ name, type, count });

describe("what is asked for", () => {
  it.each([
    ["ser|", { field: null, typed: "ser", from: 0 }],
    ["-(http.re|", { field: null, typed: "http.re", from: 2 }],
    ["timeout (-http.re|", { field: null, typed: "http.re", from: 10 }],
    ["service:|", { field: "service", typed: "", from: 8 }],
    ["a b level>=wa|) c", { field: "level", typed: "wa", from: 11 }],
    ['name:"GET /it|', { field: "name", typed: "GET /it", from: 5 }],
    ['name:"say \\"hi|', { field: "name", typed: 'say "hi', from: 5 }],
    ['"in a phrase ser|', null],
    ['"a \\" phrase" ser|', { field: null, typed: "ser", from: 14 }],
    ["ser|vice", null],
    ["service:pay*|", null],
    ["|", null],
    ["status_code>=50|", { field: "status_code", typed: "50", from: 13 }],
  ])("%s", (text, expected) => expect(at(text)).toEqual(expected));
});

describe("suggested fields", () => {
  const fields = [field("service.instance.id", 90), field("service", 80), field("http.request.method", 70), field("weird key", 60), field("re", 5), field("body", 9), field("trace_id", 9, "id")];

  it("fit from their beginning, then from a part of theirs, each by count", () => {
    expect(fieldsFor("SER", fields).map((one) => one.name)).toEqual(["service.instance.id", "service"]);
    expect(fieldsFor("re", fields).map((one) => one.name)).toEqual(["http.request.method"]);
    expect(fieldsFor("weird", fields)).toEqual([]);
  });

  it("become text that the language reads", () => {
    expect([field("service", 1), field("duration", 1, "duration")].map(textOfField)).toEqual(["service:", "duration>"]);
    expect(["payments", "GET /items", 'a"b', "OR"].map(textOfValue)).toEqual(["payments ", '"GET /items" ', '"a\\"b" ', '"OR" ']);
  });

  it("have values worth a list only where records share them", () => {
    expect(["service", "trace_id", "body", "unheard.of"].map((name) => hasFewValues(name, fields))).toEqual([true, false, false, true]);
  });
});
