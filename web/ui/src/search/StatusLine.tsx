// What the list is, in plain words: how many are shown, whether there are more, whether anything is missing.

import { DataLine } from "../components/Data";
import { CompletenessNote } from "../components/Tags";
import type { Found } from "./useSearch";

export function StatusLine({ found }: { found: Found }) {
  const count = found.records.length.toLocaleString("en");
  const whole = found.completeness?.state === "complete";
  const shards = found.completeness?.shards_searched;
  return (
    <div className="flex flex-wrap items-center gap-x-3 border-b border-line px-4 py-1.5 text-sm text-muted" aria-live="polite">
      <span className="font-medium text-text tabular-nums">
        {found.pending ? "Searching" : found.more ? `${count} shown, more to come` : `${count} ${found.records.length === 1 ? "record" : "records"}${whole ? ", that is all" : " found"}`}
      </span>
      {found.completeness && <CompletenessNote completeness={found.completeness} />}
      {found.tookMs !== null && <span className="tabular-nums">{Math.max(1, Math.round(found.tookMs))} ms</span>}
      {shards !== undefined && <span>{shards.toLocaleString("en")} {shards === 1 ? "shard" : "shards"}</span>}
      <span className="hidden sm:inline">newest first</span>
      {found.notes.map((note) => <span key={note} className="text-warn"><DataLine text={note} /></span>)}
      {(found.refreshing || found.loadingMore) && <span className="text-info">loading</span>}
    </div>
  );
}
