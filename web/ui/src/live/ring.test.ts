import { expect, it } from "vitest";
import type { LogOrSpan } from "../api";
import { Ring, ROWS_MAX } from "./ring";

const record = (id: number): LogOrSpan => ({ kind: "log", record_id: String(id), timestamp: "2026-11-20T14:00:00Z" });
const keys = (ring: Ring) => ring.items.map((item) => item.key);

it("puts the newest on top, once", () => {
  const ring = new Ring();
  ring.record(record(1));
  ring.record(record(2));
  ring.record(record(2));
  expect(ring.waitingCount).toBe(2);
  ring.flush();
  ring.record(record(1));
  ring.record(record(3));
  ring.flush();
  expect(keys(ring)).toEqual(["log3", "log2", "log1"]);
});

it("shows gaps where they were", () => {
  const ring = new Ring();
  ring.record(record(1));
  ring.gap(412);
  ring.record(record(2));
  ring.flush();
  expect(ring.items.map((item) => (item.type === "gap" ? item.skipped : item.key))).toEqual(["log2", 412, "log1"]);
});

it("keeps a bounded number of rows", () => {
  const ring = new Ring();
  for (let i = 0; i < ROWS_MAX + 10; i += 1) {
    ring.record(record(i));
    if (i % 1000 === 0) ring.flush();
  }
  ring.flush();
  expect(ring.items.length).toBe(ROWS_MAX);
  expect(ring.items[0]?.key).toBe(`log${ROWS_MAX + 9}`);
});

it("says what was pushed out while paused", () => {
  const ring = new Ring();
  for (let i = 0; i < ROWS_MAX + 7; i += 1) ring.record(record(i));
  expect(ring.waitingCount).toBe(ROWS_MAX + 7);
  ring.flush();
  expect(ring.items.length).toBe(ROWS_MAX);
});
