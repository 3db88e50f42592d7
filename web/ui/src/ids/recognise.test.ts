import { describe, expect, it } from "vitest";
import { mayBeId, recogniseId, shortenId } from "./recognise";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";

describe("what is clearly an id", () => {
  it.each([
    [TRACE, TRACE],
    [` ${TRACE.toUpperCase()} `, TRACE.toUpperCase()],
    ["7f3a9c1e-0d52-4be1-a1f4-6b0f5c2d9e11", "7f3a9c1e-0d52-4be1-a1f4-6b0f5c2d9e11"],
    ["{7F3A9C1E-0D52-4BE1-A1F4-6B0F5C2D9E11}", "7F3A9C1E-0D52-4BE1-A1F4-6B0F5C2D9E11"],
    ["00f067aa0ba902b7", "00f067aa0ba902b7"],
    [`00-${TRACE}-00f067aa0ba902b7-01`, TRACE],
    [`${TRACE}-00f067aa0ba902b7-1`, TRACE],
    [`${TRACE}/123;o=1`, TRACE],
    ["Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1", "5759e988bd862e3fe1be46a994272793"],
    ["7219386209346712345", "7219386209346712345"],
    ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAV"],
    ["req-3f2b1c0a", "req-3f2b1c0a"],
    ['"req-000001"', "req-000001"],
  ])("%s", (typed, id) => expect(recogniseId(typed)).toBe(id));
});

describe("what is rather a search", () => {
  it.each([
    "",
    "timeout",
    "service:payments",
    "timeout payment",
    "level>=warn",
    "500",
    "2026-11-20",
    "user-agent",
    "http-timeouts",
    "00000000000000000000000000000000",
    `trace:${TRACE}`,
    `"${TRACE} failed"`,
  ])("%s", (typed) => expect(recogniseId(typed)).toBeNull());
});

it("offers both ways for one word with a digit", () => {
  expect(mayBeId("order42")).toBe(true);
  expect(mayBeId("timeout")).toBe(false);
  expect(mayBeId("service:a1")).toBe(false);
});

it("shortens in the middle", () => {
  expect(shortenId(TRACE)).toBe("4bf92f35…4736");
  expect(shortenId("req-000001")).toBe("req-000001");
});
