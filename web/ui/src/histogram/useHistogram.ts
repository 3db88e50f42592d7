// The counts of a search. They are asked beside it: the list never waits for them.

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { histogram, type ApiError, type Completeness } from "../api";
import { addCondition } from "../query/edit";
import type { ResolvedRange } from "../time/range";
import { barsOf, type Bars } from "./bars";

export interface Counts {
  bars: Bars | null;
  completeness: Completeness | null;
  /** The bars are those of the question before. */
  stale: boolean;
  error: ApiError | null;
}

interface Counted {
  bars: Bars;
  completeness: Completeness;
}

/** A bar wants some ten pixels. */
const BAR_PIXELS = 11;
const BARS_MAX = 120;

export function useHistogram(q: string, range: ResolvedRange, run: number): Counts {
  const buckets = Math.min(BARS_MAX, Math.floor(window.innerWidth / BAR_PIXELS));
  const query = useQuery<Counted, ApiError>({
    queryKey: ["histogram", q, range.start, range.end, run],
    queryFn: async ({ signal }) => {
      const ask = (words: string, by: string) => histogram({ q: words, ...range, by, buckets }, signal);
      const [levels, spans] = await Promise.all([ask(q, "level"), ask(addCondition(q, "kind:span"), "status")]);
      return { bars: barsOf(levels, spans), completeness: levels.completeness };
    },
    placeholderData: keepPreviousData,
    retry: false,
  });
  return {
    bars: query.data?.bars ?? null,
    completeness: query.data?.completeness ?? null,
    stale: query.isPlaceholderData,
    error: query.error,
  };
}
