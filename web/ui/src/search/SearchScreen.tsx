// The search: one box, one time range, one list. Everything that was asked stands in the address.

import { useNavigate, useSearch as useAddress } from "@tanstack/react-router";
import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { ApiError } from "../api";
import { CopyMenu } from "../components/Copy";
import { Icon } from "../components/Icon";
import { Notice } from "../components/Tags";
import { useHotkeys } from "../keys/hotkeys";
import { LiveList } from "../live/LiveList";
import { addCondition, wordsToMark } from "../query/edit";
import type { SearchParams } from "../router";
import type { TimeRange } from "../time/range";
import { useZone } from "../time/useZone";
import { searchCopyChoices } from "./copyChoices";
import { EmptyState, WaysToAsk } from "./EmptyState";
import { rememberSearch } from "./last";
import { QueryBox } from "./QueryBox";
import { RangeMenu } from "./RangeMenu";
import { ResultList } from "./ResultList";
import { StatusLine } from "./StatusLine";
import { useSearch, type Found } from "./useSearch";
import { useStoreIsEmpty } from "./useStoreIsEmpty";

// The list comes first.
const OverTime = lazy(() => import("../histogram/OverTime"));
const Welcome = lazy(() => import("../welcome/Welcome"));

export function SearchScreen() {
  const address = useAddress({ from: "/" });
  const navigate = useNavigate({ from: "/" });
  const zone = useZone();
  const q = address.q ?? "";
  const range = useMemo(() => ({ from: address.from ?? "", to: address.to ?? "" }), [address.from, address.to]);
  const live = address.live === "1";
  const [draft, setDraft] = useState(q);
  const [run, setRun] = useState(0);
  const [liveError, setLiveError] = useState<ApiError | null>(null);
  const found = useSearch(q, range, zone, run, !live);
  const storeIsEmpty = useStoreIsEmpty(!live && !found.pending && !found.error && found.records.length === 0);
  const words = useMemo(() => wordsToMark(q), [q]);

  useEffect(() => setDraft(q), [q]);
  useEffect(() => rememberSearch(address), [address]);

  const go = useCallback(
    (change: SearchParams) => {
      void navigate({ search: (before: SearchParams) => ({ ...before, ...change }) });
      setRun((n) => n + 1);
    },
    [navigate],
  );
  const filter = useCallback(
    (added: string) => {
      const next = addCondition(draft, added);
      setDraft(next);
      go({ q: next });
    },
    [draft, go],
  );
  const again = useCallback(() => setRun((n) => n + 1), []);
  useHotkeys({ l: () => go({ live: live ? "" : "1" }) });

  const error = live ? liveError : found.error;
  const queryError = error?.status === 400 ? error : null;
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <h1 className="visually-hidden">Search</h1>
      <div className="border-b border-line px-3 pt-3 pb-2.5 sm:px-4">
        <QueryBox
          value={draft}
          onChange={setDraft}
          onRun={(text) => go({ q: text.trim() })}
          onOpenId={(id) => void navigate({ to: "/journey/$id", params: { id }, search: address.tz ? { tz: address.tz } : {} })}
          error={queryError}
          ran={q}
        />
        <Toolbar q={q} range={range} live={live} found={found} go={go} />
      </div>
      {error && !queryError && (
        <div className="p-4">
          <Notice tone="error">
            <p className="data">{error.message}</p>
            <button type="button" className="button mt-2" onClick={again}>Try again</button>
          </Notice>
        </div>
      )}
      {live ? (
        <LiveList q={q} words={words} zone={zone} onFilter={filter} onError={setLiveError} />
      ) : storeIsEmpty ? (
        <Suspense>
          <Welcome onArrived={again} />
        </Suspense>
      ) : (
        queryError ? <WaysToAsk onQuery={(text) => go({ q: text })} /> : !error && (
          <>
            <Suspense fallback={<div className="histogram" />}>
              <OverTime q={q} range={range} resolved={found.range} run={run} onRange={go} />
            </Suspense>
            <Results found={found} words={words} q={q} range={range} go={go} filter={filter} />
          </>
        )
      )}
    </div>
  );
}

interface ToolbarProps {
  q: string;
  range: TimeRange;
  live: boolean;
  found: Found;
  go: (change: SearchParams) => void;
}

function Toolbar({ q, range, live, found, go }: ToolbarProps) {
  const zone = useZone();
  return (
    <div className="mt-2 flex flex-wrap items-center gap-1.5">
      {!live && <RangeMenu key={`${range.from} ${range.to}`} range={range} zone={zone} onChange={(next) => go({ from: next.from, to: next.to })} />}
      <button type="button" className="button" aria-pressed={live} title="Follow new records (l)" onClick={() => go({ live: live ? "" : "1" })}>
        <span aria-hidden="true" className={`size-2 rounded-full ${live ? "pulse bg-error-bar" : "border border-current"}`} />
        Live
      </button>
      {!live && (
        <button type="button" className="icon-button" aria-label="Search again" title="Search again" onClick={() => go({})}>
          <Icon name="refresh" />
        </button>
      )}
      <span className="ml-auto">
        <CopyMenu choices={searchCopyChoices(q, range, found.range, live)} />
      </span>
    </div>
  );
}

interface ResultsProps {
  found: Found;
  words: readonly string[];
  q: string;
  range: TimeRange;
  go: (change: SearchParams) => void;
  filter: (added: string) => void;
}

function Results({ found, words, q, range, go, filter }: ResultsProps) {
  const zone = useZone();
  const scroller = useRef<HTMLDivElement>(null);
  const items = useMemo(
    () => found.records.map((record) => ({ type: "record" as const, key: `${record.kind}${record.record_id}`, record })),
    [found.records],
  );
  const whole = found.completeness?.state === "complete";
  if (found.pending) return <Skeleton />;
  return (
    <>
      <StatusLine found={found} />
      {items.length === 0 ? (
        <EmptyState whole={whole} q={q} range={range} zone={zone} onRange={go} onQuery={(text) => go({ q: text })} />
      ) : (
        <ResultList
          items={items}
          words={words}
          zone={zone}
          onFilter={filter}
          onEnd={found.loadMore}
          scroller={scroller}
          footer={<p className="px-4 py-3 text-center text-sm text-faint">{found.more ? "Loading more" : whole ? "That is all." : "That is all that could be found; see above what was not searched."}</p>}
        />
      )}
    </>
  );
}

/** The shape of what is coming, so that nothing jumps. */
function Skeleton() {
  return (
    <div aria-hidden="true" className="flex-1 overflow-hidden px-4 pt-10">
      {Array.from({ length: 18 }, (_, row) => (
        <div key={row} className="flex h-7 items-center gap-4">
          <span className="h-2.5 w-24 rounded bg-sunken" />
          <span className="h-2.5 w-20 rounded bg-sunken" />
          <span className="h-2.5 rounded bg-sunken" style={{ width: `${20 + ((row * 37) % 45)}%` }} />
        </div>
      ))}
    </div>
  );
}
