// Loads a journey: a small one page by page, the first of them drawn while the rest is on its way; of a large one its
// skeleton, and the records of a node when they are asked for.

import { journey, skeleton, type Journey, type JourneyHead, type JourneyNode } from "../api";
import { parseInstant } from "../time/instant";
import { buildModel, buildOutlineOfPage, type JourneyModel } from "./model";
import { buildSkeleton } from "./skeleton";

const FIRST_PAGE_NODES = 1_000;
const PAGE_NODES = 10_000;
/** From here on records stay on the server until somebody looks at them. */
const LARGE_NODES = 5_000;

export interface LoadedJourney {
  /** What the latest answer says of the whole. */
  head: JourneyHead;
  model: JourneyModel;
  finished: boolean;
}

export interface LoadParameters {
  id: string;
  inferred: boolean;
  corrected: boolean;
}

/** Yields after every answer that changes the picture; each yield holds all nodes so far. */
export async function* loadJourney(p: LoadParameters, signal: AbortSignal): AsyncGenerator<LoadedJourney> {
  const first = await journey({ ...p, limit: FIRST_PAGE_NODES }, signal);
  if ((first.nodes_total ?? 0) > LARGE_NODES) {
    yield { head: headOf(first), model: buildOutlineOfPage(first.nodes, originOf(first)), finished: false };
    const whole = await skeleton(p, signal);
    yield { head: headOf(whole), model: buildSkeleton(whole), finished: true };
  } else yield* loadPages(p, first, signal);
}

async function* loadPages(p: LoadParameters, first: Journey, signal: AbortSignal): AsyncGenerator<LoadedJourney> {
  const nodes: JourneyNode[] = [];
  let page = first;
  for (;;) {
    for (const node of page.nodes) addNode(nodes, node);
    // A server that hands out a cursor without nodes would have us ask for ever.
    const cursor = page.nodes.length === 0 ? undefined : (page.next_cursor ?? undefined);
    yield { head: headOf(page), model: buildModel(nodes.slice(), originOf(page)), finished: cursor === undefined };
    if (cursor === undefined) return;
    page = await journey({ ...p, cursor, limit: PAGE_NODES }, signal);
  }
}

/** A node with very many logs goes on, as the first node, on the next page. */
function addNode(nodes: JourneyNode[], node: JourneyNode): void {
  const last = nodes.at(-1);
  if (last?.node_id === node.node_id) nodes[nodes.length - 1] = { ...last, logs: [...(last.logs ?? []), ...(node.logs ?? [])] };
  else nodes.push(node);
}

function originOf(head: JourneyHead) {
  return parseInstant(head.start) ?? { seconds: 0, nanos: 0 };
}

/** Without the nodes, which would be kept as long as the head. */
function headOf(answer: JourneyHead): JourneyHead {
  const { nodes: _nodes, columns: _columns, critical: _critical, ...head } = answer as JourneyHead & { nodes?: unknown; columns?: unknown; critical?: unknown };
  return head;
}

/** Nodes fetched at a time: who reads one often reads its neighbours. Where they have very many logs, one by one. */
const NEIGHBOURS = 16;
const NEIGHBOURS_LOGS_MAX = 1_000;
const PAGES_KEPT = 24;

/** One node of a large journey with its records; the latest pages are kept. */
export class NodeSource {
  private readonly pages = new Map<string, Promise<Journey>>();

  private readonly p: LoadParameters;

  constructor(p: LoadParameters) {
    this.p = p;
  }

  async node(model: JourneyModel, place: number): Promise<JourneyNode> {
    const first = place - (place % NEIGHBOURS);
    const logs = model.logsTotal.subarray(first, first + NEIGHBOURS).reduce((sum, count) => sum + count, 0);
    const page = await (logs <= NEIGHBOURS_LOGS_MAX ? this.page(first, NEIGHBOURS) : this.page(place, 1));
    const found = page.nodes.find((node) => node.node_id === model.ids[place]);
    if (found) return found;
    this.pages.clear();
    throw new Error("The journey has changed since it was loaded: load it again.");
  }

  private page(first: number, limit: number): Promise<Journey> {
    const key = `${first} ${limit}`;
    const known = this.pages.get(key);
    if (known) return known;
    const asked = journey({ ...this.p, cursor: `n${first}`, limit });
    asked.catch(() => this.pages.delete(key));
    this.pages.set(key, asked);
    for (const oldest of this.pages.keys()) {
      if (this.pages.size <= PAGES_KEPT) break;
      this.pages.delete(oldest);
    }
    return asked;
  }
}
