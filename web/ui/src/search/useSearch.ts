// A search and its pages. Relative times are pinned when the search is run, so that all pages mean the same range.

import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { search, type ApiError, type Completeness, type LogOrSpan, type SearchAnswer } from "../api";
import { resolveRange, type ResolvedRange, type TimeRange } from "../time/range";
import type { Zone } from "../time/instant";

const PAGE_RECORDS = 100;

export interface Found {
  records: LogOrSpan[];
  completeness: Completeness | null;
  /** What the server says about the question. */
  notes: readonly string[];
  pending: boolean;
  refreshing: boolean;
  more: boolean;
  loadingMore: boolean;
  error: ApiError | null;
  /** How long the first page took, milliseconds. */
  tookMs: number | null;
  range: ResolvedRange;
  loadMore: () => void;
}

interface TimedAnswer extends SearchAnswer {
  tookMs: number;
}

/** `run` rises with every Enter: the same words asked again are a new question. */
export function useSearch(q: string, range: TimeRange, zone: Zone, run: number, enabled: boolean): Found {
  const { from, to } = range;
  // `run` pins the clock anew.
  // oxlint-disable-next-line react/exhaustive-deps
  const resolved = useMemo(() => resolveRange({ from, to }, zone, Date.now()), [from, to, zone, run]);
  const query = useInfiniteQuery<TimedAnswer, ApiError, { pages: TimedAnswer[] }, unknown[], string | undefined>({
    queryKey: ["search", q, resolved.start, resolved.end, run],
    enabled,
    initialPageParam: undefined,
    queryFn: async ({ pageParam, signal }) => {
      const began = performance.now();
      const answer = await search({ q, ...resolved, cursor: pageParam, limit: PAGE_RECORDS }, signal);
      return { ...answer, tookMs: performance.now() - began };
    },
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: (before) => before,
  });
  const pages = query.data?.pages;
  const records = useMemo(() => distinct(pages ?? []), [pages]);
  return {
    records,
    completeness: worstOf(pages ?? []),
    notes: pages?.[0]?.notes ?? [],
    pending: query.isPending && enabled,
    refreshing: query.isPlaceholderData,
    more: query.hasNextPage,
    loadingMore: query.isFetchingNextPage,
    error: query.error,
    tookMs: pages?.[0]?.tookMs ?? null,
    range: resolved,
    loadMore: () => {
      if (query.hasNextPage && !query.isFetchingNextPage) void query.fetchNextPage();
    },
  };
}

function distinct(pages: readonly SearchAnswer[]): LogOrSpan[] {
  const seen = new Set<string>();
  return pages.flatMap((page) =>
    page.records.filter((record) => {
      const key = `${record.kind}${record.record_id}`;
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    }),
  );
}

/** One page that is not whole makes the list not whole. */
function worstOf(pages: readonly SearchAnswer[]): Completeness | null {
  const states = pages.map((page) => page.completeness).filter(Boolean);
  const worst = states.find((c) => c.state === "partial") ?? states.find((c) => c.state === "arriving") ?? states[0];
  if (!worst) return null;
  return { ...worst, reasons: [...new Set(states.flatMap((c) => c.reasons ?? []))] };
}
