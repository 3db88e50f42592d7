// "Copy as": the same question for a browser, a terminal and a script.

import { searchAddress } from "../api";
import type { CopyChoice } from "../components/Copy";
import { shellQuote } from "../query/edit";
import type { ResolvedRange, TimeRange } from "../time/range";

export function searchCopyChoices(q: string, range: TimeRange, resolved: ResolvedRange, live: boolean): CopyChoice[] {
  const query = q.trim() || "*";
  const pinned = new URLSearchParams({ q, from: resolved.start ?? "", to: resolved.end ?? (resolved.start ? new Date().toISOString() : "") });
  const choices: CopyChoice[] = [{ label: "Link", text: location.href }];
  if (range.from !== "" && !live) {
    choices.push({ label: "Link to exactly this time range", text: `${location.origin}/?${pinned}` });
  }
  choices.push(
    live
      ? { label: "Command line", text: `needle tail ${shellQuote(query)}` }
      : { label: "Command line", text: `needle grep ${shellQuote(query)}${timeFlags(range, resolved)}` },
    { label: "curl", text: `curl -s ${shellQuote(searchAddress({ q: query, start: resolved.start, end: resolved.end }))}` },
  );
  return choices;
}

function timeFlags(range: TimeRange, resolved: ResolvedRange): string {
  // Without a range `grep` searches the last hour; all time has to be said.
  const since = range.from === "" ? "1970-01-01" : /^\d/.test(range.from) && range.from.length < 8 ? range.from : (resolved.start ?? "1970-01-01");
  return ` --since ${shellQuote(since)}${resolved.end ? ` --until ${shellQuote(resolved.end)}` : ""}`;
}
