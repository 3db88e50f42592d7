import { describe, expect, it } from "vitest";
import { formatAgo, formatDuration, formatSigned, niceStep, parseDuration } from "./duration";
import { clockAt, instantOfMillis, isZone, nanosBetween, parseInstant } from "./instant";
import { describeRange, parseTime, resolveRange } from "./range";

const at = (text: string) => {
  const instant = parseInstant(text);
  if (!instant) throw new Error(`not a time: ${text}`);
  return instant;
};

describe("instants", () => {
  it("keeps nanoseconds", () => {
    expect(at("2026-11-20T14:03:11.204518233Z").nanos).toBe(204_518_233);
    expect(nanosBetween(at("2026-11-20T14:03:11.000000001Z"), at("2026-11-20T14:03:10.999999999Z"))).toBe(2);
  });

  it("reads offsets", () => {
    expect(at("2026-11-20T15:03:11+01:00")).toEqual(at("2026-11-20T14:03:11Z"));
    expect(parseInstant("yesterday")).toBeNull();
  });

  it("shows the clock of a zone", () => {
    expect(clockAt(at("2026-11-20T23:30:00.204518233Z"), "Europe/Berlin")).toEqual({
      date: "2026-11-21",
      time: "00:30:00.204",
      exact: "00:30:00.204518233",
    });
    expect(isZone("Mars/Olympus")).toBe(false);
  });

  it("comes from milliseconds, also before the epoch", () => {
    expect(instantOfMillis(1_500)).toEqual({ seconds: 1, nanos: 500_000_000 });
    expect(instantOfMillis(-1)).toEqual({ seconds: -1, nanos: 999_000_000 });
  });
});

describe("durations", () => {
  it.each([
    [0, "0"],
    [412, "412 ns"],
    [1_500, "1.5 µs"],
    [999_600, "1 ms"],
    [14_000_000, "14 ms"],
    [123_456_789, "123 ms"],
    [1_840_000_000, "1.84 s"],
    [48_000_000_000, "48 s"],
    [90_000_000_000, "1.5 min"],
    [-14_000_000, "-14 ms"],
  ])("%d ns", (nanos, text) => expect(formatDuration(nanos)).toBe(text));

  it("reads what people write", () => {
    expect(parseDuration("15m")).toBe(900e9);
    expect(parseDuration("-1h30m")).toBe(5400e9);
    expect(parseDuration("250ms")).toBe(250e6);
    expect(parseDuration("15")).toBeNull();
    expect(parseDuration("soon")).toBeNull();
  });

  it("signs, ages and steps", () => {
    expect(formatSigned(-14e6)).toBe("−14 ms");
    expect(formatAgo(125_000)).toBe("2 min ago");
    expect(niceStep(1_000, 8)).toBe(200);
    expect(niceStep(48, 10)).toBe(5);
  });
});

describe("ranges", () => {
  const now = Date.UTC(2026, 10, 20, 14, 0);

  it.each([
    ["15m", "2026-11-20T13:45:00.000Z"],
    ["now", "2026-11-20T14:00:00.000Z"],
    ["2026-11-20 09:30", "2026-11-20T08:30:00.000Z"],
    ["2026-07-01 09:30", "2026-07-01T07:30:00.000Z"],
    ["2026-11-20", "2026-11-19T23:00:00.000Z"],
    ["14:03", "2026-11-20T13:03:00.000Z"],
    ["18:00", "2026-11-19T17:00:00.000Z"],
    ["2026-11-20T09:30:00Z", "2026-11-20T09:30:00.000Z"],
    ["1795180000", "2026-11-20T13:06:40.000Z"],
    ["1795180000123", "2026-11-20T13:06:40.123Z"],
  ])("%s in Berlin", (text, iso) => {
    const millis = parseTime(text, "Europe/Berlin", now);
    expect(millis === null ? null : new Date(millis).toISOString()).toBe(iso);
  });

  it("says no to what is no time", () => {
    expect(parseTime("soon", "UTC", now)).toBeNull();
    expect(parseTime("", "UTC", now)).toBeNull();
  });

  it("resolves to what the API takes", () => {
    expect(resolveRange({ from: "", to: "" }, "UTC", now)).toEqual({});
    expect(resolveRange({ from: "1h", to: "" }, "UTC", now)).toEqual({ start: "2026-11-20T13:00:00.000Z" });
  });

  it("is described in words", () => {
    expect(describeRange({ from: "", to: "" }, "UTC")).toBe("All time");
    expect(describeRange({ from: "90m", to: "" }, "UTC")).toBe("Last 90m");
    expect(describeRange({ from: "2026-11-20T09:00:00Z", to: "2026-11-20T10:30:00Z" }, "UTC")).toBe("2026-11-20 09:00 → 10:30");
  });
});
