// New records as they come, on top. Scrolling down pauses; nothing jumps under the reader.

import { useEffect, useRef, useState } from "react";
import type { ApiError } from "../api";
import { Icon } from "../components/Icon";
import type { Filter } from "../components/RecordFields";
import { useHotkeys } from "../keys/hotkeys";
import { ResultList } from "../search/ResultList";
import type { Zone } from "../time/instant";
import { ROWS_MAX } from "./ring";
import type { Connection } from "./follow";
import { useTail } from "./useTail";

interface LiveListProps {
  q: string;
  words: readonly string[];
  zone: Zone;
  onFilter: Filter;
  onError: (error: ApiError | null) => void;
}

export function LiveList({ q, words, zone, onFilter, onError }: LiveListProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const [held, setHeld] = useState(false);
  const [scrolled, setScrolled] = useState(false);
  const paused = held || scrolled;
  const tail = useTail(q, paused);
  useEffect(() => onError(tail.error), [tail.error, onError]);

  const follow = () => {
    setHeld(false);
    setScrolled(false);
    scroller.current?.scrollTo({ top: 0 });
  };
  useHotkeys({
    " ": () => (paused ? follow() : setHeld(true)),
    Escape: () => (paused ? follow() : false),
  });

  return (
    <div className="relative flex min-h-0 flex-1 flex-col">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line px-4 py-1.5 text-sm text-muted">
        <ConnectionState connection={tail.connection} />
        <span className="tabular-nums">{tail.rate.toFixed(tail.rate < 10 ? 1 : 0)} records/s</span>
        <span className="tabular-nums">
          {tail.items.length.toLocaleString("en")} shown{tail.items.length >= ROWS_MAX && ", older ones left the list"}
        </span>
        <span className="ml-auto flex gap-1.5">
          <button type="button" className="button" aria-pressed={paused} onClick={() => (paused ? follow() : setHeld(true))}>
            <Icon name={paused ? "play" : "pause"} size={12} /> {paused ? "Follow" : "Pause"}
          </button>
          <button type="button" className="button" onClick={tail.clear}>Clear</button>
        </span>
      </div>
      {paused && tail.waiting > 0 && (
        <button type="button" className="button button-primary absolute top-12 left-1/2 z-10 -translate-x-1/2 rounded-full shadow-pop" onClick={follow}>
          <Icon name="up" size={12} /> +{tail.waiting.toLocaleString("en")} new
        </button>
      )}
      {tail.items.length === 0 ? (
        <p className="p-10 text-center text-muted">
          {tail.connection === "failed" ? "The tail could not be opened." : "Waiting for new records that match. They appear here as they are accepted."}
        </p>
      ) : (
        <ResultList
          items={tail.items}
          words={words}
          zone={zone}
          onFilter={onFilter}
          scroller={scroller}
          onScroll={() => setScrolled((scroller.current?.scrollTop ?? 0) > 8)}
        />
      )}
    </div>
  );
}

const STATES: Record<Connection, { word: string; className: string }> = {
  connecting: { word: "connecting", className: "text-info" },
  connected: { word: "connected", className: "text-ok" },
  reconnecting: { word: "reconnecting; what comes meanwhile is sent afterwards", className: "text-warn" },
  failed: { word: "not connected", className: "text-error" },
};

function ConnectionState({ connection }: { connection: Connection }) {
  const { word, className } = STATES[connection];
  return (
    <span role="status" className={`inline-flex items-center gap-1.5 font-medium ${className}`}>
      <span aria-hidden="true" className={`size-2 rounded-full bg-current ${connection === "connected" ? "pulse" : ""}`} />
      {word}
    </span>
  );
}
