// Nothing matched: what to try.

import { EXAMPLES } from "../components/HelpDialog";
import { describeRange, type TimeRange } from "../time/range";
import type { Zone } from "../time/instant";

interface EmptyStateProps {
  /** Whether all that should be searched was. */
  whole: boolean;
  q: string;
  range: TimeRange;
  zone: Zone;
  onRange: (range: TimeRange) => void;
  onQuery: (q: string) => void;
}

export function EmptyState({ whole, q, range, zone, onRange, onQuery }: EmptyStateProps) {
  const limited = range.from !== "" || range.to !== "";
  return (
    <div className="mx-auto w-full max-w-xl overflow-y-auto px-6 py-12">
      <h2 className="text-lg font-semibold">Nothing matches{q.trim() === "" ? "" : " this query"}</h2>
      <p className="mt-1 text-muted">
        {limited ? `Searched: ${describeRange(range, zone)}. ` : whole ? "Everything was searched. " : "Not everything could be searched; the line above says why. "}
        Words are matched whole; add * for a prefix.
      </p>
      <div className="mt-4 flex flex-wrap gap-2">
        {limited && <button type="button" className="button button-primary" onClick={() => onRange({ from: "", to: "" })}>Search all time</button>}
        {q.trim() !== "" && <button type="button" className="button" onClick={() => onQuery("")}>Show everything</button>}
      </div>
      <WaysToAsk onQuery={onQuery} />
    </div>
  );
}

export function WaysToAsk({ onQuery }: { onQuery: (q: string) => void }) {
  return (
    <section className="mx-auto w-full max-w-xl">
      <h3 className="mt-8 mb-1.5 text-sm font-semibold text-muted">Ways to ask</h3>
      <ul className="divide-y divide-line rounded-md border border-line bg-surface">
        {EXAMPLES.map(([query, does]) => (
          <li key={query}>
            <button type="button" className="flex w-full flex-wrap gap-x-4 px-3 py-1.5 text-left text-sm hover:bg-hover" onClick={() => onQuery(query)}>
              <span className="w-60 font-mono">{query}</span>
              <span className="text-muted">{does}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
