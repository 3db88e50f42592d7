import { describe, expect, it } from "vitest";
import type { JourneyNode, LogOrSpan } from "../api";
import { errorRows, findRows, stepThrough } from "./find";
import { buildModel, errorsIn, rowsOfSubtreeLogs } from "./model";
import { keyOfRow, rowOfKey } from "./rowKey";
import { canCollapse, initialCollapse, reveal, stepLevel, visibleRows } from "./rows";

const ORIGIN = { seconds: 0, nanos: 0 };
const at = (millis: number) => new Date(millis).toISOString();

function log(id: string, millis: number, severity_number = 9): LogOrSpan {
  return { kind: "log", record_id: id, timestamp: at(millis), service: "s", severity_number, body: `line ${id}` };
}

function node(id: string, parent: string | null, start: number, duration: number, extra: Partial<JourneyNode> = {}): JourneyNode {
  return { node_id: id, parent_node_id: parent, depth: 0, service: "s", name: `op ${id}`, start: at(start), duration_ns: duration * 1e6, ...extra };
}

/**
 * a 0..100   logs x@5, y@60 (error)
 *   b 10..50   log z@20
 *     c 15..30
 *   d 70..90 (error)
 * e 200..210
 */
const NODES = [
  node("a", null, 0, 100, { logs: [log("y", 60, 17), log("x", 5)] }),
  node("b", "a", 10, 40, { logs: [log("z", 20)] }),
  node("c", "b", 15, 15),
  node("d", "a", 70, 20, { status: "error" }),
  node("e", null, 200, 10),
];
const model = buildModel(NODES, ORIGIN);
const names = (rows: Iterable<number>) => [...rows].map((row) => keyOfRow(model, row).replace("log:", "")).join(" ");
const none = new Uint8Array(NODES.length);
const folded = (...ids: string[]) => Uint8Array.from(NODES, (n) => (ids.includes(n.node_id) ? 1 : 0));

describe("the columns", () => {
  it("know the tree", () => {
    expect([...model.depth]).toEqual([0, 1, 2, 1, 0]);
    expect([...model.subtreeEnd]).toEqual([4, 3, 3, 4, 5]);
    expect([...model.parent]).toEqual([-1, 0, 1, 0, -1]);
  });

  it("know the times", () => {
    expect([model.from, model.until]).toEqual([0, 210e6]);
    expect(model.subtreeUntil[1]).toBe(50e6);
  });

  it("move lines with the clock of their node", () => {
    const moved = buildModel([node("m", null, 0, 100, { corrected_by_ns: -3e9, logs: [log("n", 3005)] })], ORIGIN);
    expect([...moved.logTime]).toEqual([5e6]);
  });

  it("count errors with everything below", () => {
    expect(errorsIn(model, 0)).toBe(2);
    expect(errorsIn(model, 1)).toBe(0);
    expect(errorsIn(model, 3)).toBe(1);
  });

  it("let a node whose parent is not here be a root", () => {
    const orphan = buildModel([node("k", "gone", 0, 1), node("l", "k", 0, 1)], ORIGIN);
    expect([...orphan.depth]).toEqual([0, 1]);
  });

  it("survive an empty journey and odd durations", () => {
    expect(buildModel([], ORIGIN).until).toBeGreaterThan(0);
    expect(buildModel([node("n", null, 5, -3)], ORIGIN).until).toBeGreaterThan(5e6);
  });
});

describe("the rows", () => {
  it("tell children and logs in the order of time", () => {
    expect(names(visibleRows(model, none, "all"))).toBe("a x b c z y d e");
  });

  it("leave logs out on demand", () => {
    expect(names(visibleRows(model, none, "errors"))).toBe("a b c y d e");
    expect(names(visibleRows(model, none, "none"))).toBe("a b c d e");
  });

  it("jump over what is folded, with its logs", () => {
    expect(names(visibleRows(model, folded("b"), "all"))).toBe("a x b y d e");
    expect(names(visibleRows(model, folded("a"), "all"))).toBe("a e");
  });

  it("can be folded only where something would hide", () => {
    expect(canCollapse(model, 1, "none")).toBe(true);
    expect(canCollapse(model, 3, "all")).toBe(false);
    const leaf = buildModel([node("n", null, 0, 1, { logs: [log("q", 0)] })], ORIGIN);
    expect(canCollapse(leaf, 0, "all")).toBe(true);
    expect(canCollapse(leaf, 0, "errors")).toBe(false);
  });

  it("open towards a hidden row", () => {
    expect(names(visibleRows(model, reveal(model, folded("a", "b"), 2), "none"))).toBe("a b c d e");
    const z = rowOfKey(model, "log:z") ?? 0;
    expect(names(visibleRows(model, reveal(model, folded("a", "b"), z), "all"))).toContain("z");
  });

  it("fold and open level by level", () => {
    const once = stepLevel(model, none, "collapse");
    expect(names(visibleRows(model, once, "none"))).toBe("a b d e");
    const twice = stepLevel(model, once, "collapse");
    expect(names(visibleRows(model, twice, "none"))).toBe("a e");
    expect(names(visibleRows(model, stepLevel(model, twice, "expand"), "none"))).toBe("a b d e");
  });

  it("start folded in a large journey, but not on the way to an error", () => {
    const many = [node("0", null, 0, 1)];
    for (let i = 1; i < 2_500; i += 1) many.push(node(String(i), String(i - 1), 0, 1, i === 9 ? { status: "error" } : {}));
    const collapsed = initialCollapse(buildModel(many, ORIGIN));
    expect(collapsed.slice(0, 12).join("")).toBe("000000000011");
  });
});

describe("finding", () => {
  it("finds words in names and lines, in the order of the page", () => {
    expect(names(findRows(model, "LINE"))).toBe("x z y");
    expect(names(findRows(model, "op c"))).toBe("c");
    expect(findRows(model, "  ")).toEqual([]);
  });

  it("lists errors of spans and logs", () => {
    expect(names(errorRows(model))).toBe("y d");
  });

  it("goes round, and starts from the selection", () => {
    const errors = errorRows(model);
    const [y, d] = errors;
    expect(stepThrough(model, errors, null, 1)).toBe(y);
    expect(stepThrough(model, errors, y ?? 0, 1)).toBe(d);
    expect(stepThrough(model, errors, d ?? 0, 1)).toBe(y);
    expect(stepThrough(model, errors, 2, 1)).toBe(y);
    expect(stepThrough(model, errors, 4, -1)).toBe(d);
    expect(stepThrough(model, [], 0, 1)).toBeNull();
  });
});

it("lists the logs of a subtree in the order of time", () => {
  expect(names(rowsOfSubtreeLogs(model, 0))).toBe("x z y");
  expect(names(rowsOfSubtreeLogs(model, 1))).toBe("z");
});
