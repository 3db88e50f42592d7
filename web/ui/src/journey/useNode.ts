// The selected node with its records: at hand in a small journey, fetched in a large one.

import { useEffect, useState } from "react";
import type { JourneyNode } from "../api";
import type { NodeSource } from "./load";
import type { JourneyModel } from "./model";

export interface WholeNode {
  node: JourneyNode | undefined;
  loading: boolean;
  error: string | null;
}

/** Who runs down the rows with a key held does not ask for each of them. */
const SETTLE_MS = 120;

export function useNode(model: JourneyModel, row: number, source: NodeSource): WholeNode {
  const [fetched, setFetched] = useState<{ id: string; node?: JourneyNode; error?: string } | null>(null);
  const id = row >= 0 && model.nodes === null ? model.ids[row] : undefined;
  useEffect(() => {
    if (id === undefined) return;
    let left = false;
    const timer = setTimeout(() => {
      source.node(model, row).then(
        (node) => !left && setFetched({ id, node }),
        (cause: unknown) => !left && setFetched({ id, error: cause instanceof Error ? cause.message : String(cause) }),
      );
    }, SETTLE_MS);
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, [model, row, id, source]);
  if (id === undefined) return { node: model.nodes?.[row], loading: false, error: null };
  const mine = fetched?.id === id ? fetched : null;
  return { node: mine?.node, loading: mine === null, error: mine?.error ?? null };
}
