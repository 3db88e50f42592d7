import { expect, it } from "vitest";
import { COLOR_COUNT, hashName, ServiceColors } from "./color";

it("hashes as FNV-1a does", () => {
  expect(hashName("")).toBe(0x811c9dc5);
  expect(hashName("a")).toBe(0xe40c292c);
  expect(hashName("foobar")).toBe(0xbf9cf968);
});

it("gives twelve services twelve colours", () => {
  const colors = new ServiceColors();
  const names = ["gateway", "auth", "orders", "inventory", "postgres", "payments", "mailer", "search", "cart", "users", "web", "cron"];
  expect(new Set(names.map((name) => colors.slotOf(name))).size).toBe(COLOR_COUNT);
});

it("keeps a colour, also over a reload", () => {
  const colors = new ServiceColors();
  const before = ["a", "b", "c"].map((name) => colors.slotOf(name));
  const after = new ServiceColors(colors.entries());
  expect(["c", "b", "a"].map((name) => after.slotOf(name)).reverse()).toEqual(before);
});
