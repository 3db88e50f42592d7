import { afterEach, describe, expect, it, vi } from "vitest";
import type { Journey, JourneyHead, JourneyNode, Skeleton } from "../api";
import { errorRows, findRows } from "./find";
import { loadJourney, NodeSource, type LoadedJourney } from "./load";
import { buildMarks, gapText, groupText } from "./marks";
import { errorsIn, FLAG_CRITICAL, FLAG_ERROR, FLAG_INFERRED, FLAG_MISSING, nameOf, serviceOf } from "./model";
import { initialCollapse, visibleRows } from "./rows";
import { buildSkeleton } from "./skeleton";

const START = "2026-11-20T14:00:00.000000000Z";
const HEAD: JourneyHead = { id: "1", start: START, end: START, duration_ns: 100, services: [], completeness: { state: "complete" } };

/** a > (b > c, logs of "till", missing parent m > d) */
const SKELETON: Skeleton = {
  ...HEAD,
  nodes_total: 6,
  columns: {
    node_id: ["a", "b", "c", "inferred-till-1", "missing-m", "d"],
    parent: [-1, 0, 1, 0, 0, 4],
    service: { values: ["web", "till", ""], codes: [0, 0, 0, 1, 2, 0] },
    name: { values: ["GET /", "SELECT", ""], codes: [0, 1, 1, 2, 2, 1] },
    kind: { values: ["server"], codes: [0, 0, 0, 0, 0, 0] },
    status: { values: ["unset", "error"], codes: [0, 0, 1, 0, 0, 0] },
    start_after_ns: [0, 10, 20, 30, 40, 50],
    duration_ns: [100, 30, 10, 5, 0, 20],
    self_time_ns: [0, 0, 0, 0, 0, 0],
    logs: [0, 3, 0, 7, 0, 0],
    log_errors: [0, 0, 0, 2, 0, 0],
  },
  critical: [0, 1],
  missing: [4],
  inferred: [
    { node: 3, reason: "it logs within a", confidence: 0.6 },
    { node: 5, reason: "same request", confidence: 0.5 },
  ],
  flags: [],
};

describe("a skeleton", () => {
  const model = buildSkeleton(SKELETON);

  it("is the tree, without a record", () => {
    expect(model.nodes).toBeNull();
    expect([...model.depth]).toEqual([0, 1, 2, 1, 1, 2]);
    expect([...visibleRows(model, new Uint8Array(6), "all")]).toEqual([0, 1, 2, 3, 4, 5]);
    expect([serviceOf(model, 3), nameOf(model, 2)]).toEqual(["till", "SELECT"]);
  });

  it("knows errors, the critical path, and what was not measured", () => {
    expect([...model.flags]).toEqual([FLAG_CRITICAL, FLAG_CRITICAL, FLAG_ERROR, FLAG_INFERRED, FLAG_MISSING, 0]);
    expect(model.inferred.get(5)?.confidence).toBe(0.5);
  });

  it("counts errors of logs that are not here, and finds their node", () => {
    expect(errorsIn(model, 0)).toBe(3);
    expect(errorRows(model)).toEqual([2, 3]);
  });

  it("is searched by what it holds", () => {
    expect(findRows(model, "select")).toEqual([1, 2, 5]);
    expect(findRows(model, "till inferred-")).toEqual([3]);
  });

  it("folds its first page as it folds the whole", () => {
    const deep = Array.from({ length: 6 }, (_, i) => i - 1);
    const chain = buildSkeleton({ ...SKELETON, columns: { ...SKELETON.columns, parent: deep, log_errors: [0, 0, 0, 0, 0, 0] }, critical: [] });
    expect([...initialCollapse(chain)]).toEqual([0, 0, 0, 1, 1, 0]);
  });
});

describe("marks", () => {
  const head: JourneyHead = {
    ...HEAD,
    gaps: [
      { node_id: "b", start: "2026-11-20T14:00:00.000000015Z", duration_ns: 34_000_000 },
      { node_id: "not loaded", start: START, duration_ns: 9 },
    ],
    groups: [
      { parent_node_id: "a", service: "web", name: "few", kind: "client", count: 5, errors: 1, total_ns: 9, slowest_node_id: "c", slowest_ns: 3 },
      { parent_node_id: "a", service: "web", name: "SELECT orders", kind: "client", count: 1212, errors: 0, total_ns: 3.4e9, slowest_node_id: "gone", slowest_ns: 120e6 },
      { parent_node_id: null, service: "web", name: "GET", kind: "server", count: 6, errors: 0, total_ns: 6, slowest_node_id: "a", slowest_ns: 1 },
    ],
  };
  const marks = buildMarks(head, buildSkeleton(SKELETON));

  it("stand at the nodes that are here", () => {
    expect(marks.gaps.get(1)).toEqual([{ from: 15, until: 34_000_015 }]);
    expect([marks.gapRows, marks.gapCount]).toEqual([[1], 1]);
    expect(marks.groups.get(-1)?.[0]?.slowest).toBe(0);
  });

  it("tell the siblings that took most first, and where the slowest is", () => {
    expect(marks.groups.get(0)?.map((group) => [group.name, group.slowest])).toEqual([["SELECT orders", -1], ["few", 2]]);
    expect(marks.groups.get(0)?.map(groupText)).toEqual([
      "1,212 × SELECT orders, 3.4 s in all, slowest 120 ms",
      "5 × few, 9 ns in all, slowest 3 ns, 1 failed",
    ]);
    expect(gapText({ from: 15, until: 34_000_015 })).toBe("nothing recorded for 34 ms");
  });
});

const node = (id: number, extra: Partial<JourneyNode> = {}): JourneyNode => ({ node_id: `n${id}`, depth: 0, start: START, duration_ns: 1, ...extra });

/** A server of a journey; answers what it was asked for. */
function serve(nodes: JourneyNode[], total = nodes.length): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (address: string) => {
    asked.push(address.replace(/inferred=\w+&corrected=\w+&?/, ""));
    const url = new URL(address, "http://needle");
    if (url.pathname.endsWith("/skeleton")) return new Response(JSON.stringify(SKELETON));
    const first = Number((url.searchParams.get("cursor") ?? "n0").slice(1));
    const limit = Number(url.searchParams.get("limit"));
    const page = nodes.slice(first, first + limit);
    const answer: Journey = { ...HEAD, nodes_total: total, nodes: page, next_cursor: first + limit < nodes.length ? `n${first + limit}` : null };
    return new Response(JSON.stringify(answer));
  });
  return asked;
}

afterEach(() => vi.unstubAllGlobals());

const question = { id: "x", inferred: true, corrected: false };

async function all(): Promise<LoadedJourney[]> {
  const loaded: LoadedJourney[] = [];
  for await (const one of loadJourney(question, new AbortController().signal)) loaded.push(one);
  return loaded;
}

describe("loading", () => {
  it("takes a small journey page by page", async () => {
    serve(Array.from({ length: 1_500 }, (_, i) => node(i)));
    const loaded = await all();
    expect(loaded.map((one) => [one.model.count, one.finished])).toEqual([[1_000, false], [1_500, true]]);
    expect(loaded[1]?.model.nodes).toHaveLength(1_500);
  });

  it("takes the skeleton of a large one, and draws its first page like it", async () => {
    const asked = serve(Array.from({ length: 1_000 }, (_, i) => node(i, { logs_total: 2 })), 100_000);
    const loaded = await all();
    expect(asked).toEqual(["/api/v1/journey/x?limit=1000", "/api/v1/journey/x/skeleton?"]);
    expect(loaded.map((one) => [one.model.nodes, one.finished])).toEqual([[null, false], [null, true]]);
    expect(loaded[0]?.model.logsTotal[0]).toBe(2);
  });
});

describe("a node of a large journey", () => {
  const outline = (logs: number[]) => {
    const none = logs.map(() => 0);
    const columns = { ...SKELETON.columns, node_id: logs.map((_, i) => `n${i}`), parent: logs.map(() => -1), logs, log_errors: none, start_after_ns: none, duration_ns: none };
    const dictionary = { values: ["s"], codes: none };
    return buildSkeleton({ ...SKELETON, columns: { ...columns, service: dictionary, name: dictionary, status: dictionary }, critical: [], missing: [], inferred: [] });
  };

  it("comes with its neighbours, which are then at hand", async () => {
    const asked = serve(Array.from({ length: 40 }, (_, i) => node(i)));
    const source = new NodeSource(question);
    const model = outline(Array.from({ length: 40 }, () => 1));
    expect((await source.node(model, 21)).node_id).toBe("n21");
    expect((await source.node(model, 22)).node_id).toBe("n22");
    expect(asked).toEqual(["/api/v1/journey/x?limit=16&cursor=n16"]);
  });

  it("comes alone where there are very many logs", async () => {
    const asked = serve([node(0), node(1)]);
    expect((await new NodeSource(question).node(outline([29_000, 1]), 1)).node_id).toBe("n1");
    expect(asked).toEqual(["/api/v1/journey/x?limit=1&cursor=n1"]);
  });

  it("is not taken for another when the journey has changed", async () => {
    serve([node(7)]);
    await expect(new NodeSource(question).node(outline([0]), 0)).rejects.toThrow("load it again");
  });
});
