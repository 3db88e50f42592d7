// Loads a journey page by page: the first page is drawn while the rest is on its way.

import { journey, type Journey, type JourneyNode } from "../api";
import { parseInstant } from "../time/instant";
import { buildModel, type JourneyModel } from "./model";

const FIRST_PAGE_NODES = 1_000;
const PAGE_NODES = 10_000;

export interface LoadedJourney {
  /** The latest page, without its nodes. */
  head: Omit<Journey, "nodes">;
  model: JourneyModel;
  finished: boolean;
}

export interface LoadParameters {
  id: string;
  inferred: boolean;
  corrected: boolean;
}

/** Yields after every page that changes the picture; each yield holds all nodes so far. */
export async function* loadJourney(p: LoadParameters, signal: AbortSignal): AsyncGenerator<LoadedJourney> {
  const nodes: JourneyNode[] = [];
  let cursor: string | undefined;
  do {
    const page = await journey({ ...p, cursor, limit: cursor ? PAGE_NODES : FIRST_PAGE_NODES }, signal);
    for (const node of page.nodes) {
      const last = nodes.at(-1);
      // A node with very many logs goes on, as the first node, on the next page.
      if (last && last.node_id === node.node_id) nodes[nodes.length - 1] = { ...last, logs: [...(last.logs ?? []), ...(node.logs ?? [])] };
      else nodes.push(node);
    }
    cursor = page.next_cursor ?? undefined;
    // A server that hands out a cursor without nodes would have us ask for ever.
    if (page.nodes.length === 0) cursor = undefined;
    const { nodes: _nodes, ...head } = page;
    const origin = parseInstant(head.start) ?? { seconds: 0, nanos: 0 };
    yield { head, model: buildModel(nodes.slice(), origin), finished: cursor === undefined };
  } while (cursor !== undefined);
}
