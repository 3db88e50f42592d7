// The suggestions below the query box, with how many records each would find.

import { visibleText } from "../text/visible";
import type { Completion } from "./useCompletion";

export const SUGGESTIONS_ID = "suggestions";

export function suggestionId(index: number): string {
  return `${SUGGESTIONS_ID}-${index}`;
}

export function SuggestionList({ suggestions, chosen, take }: Completion) {
  if (suggestions.length === 0) return null;
  return (
    <div className="pop absolute inset-x-0 top-full z-50 mt-1 max-w-xl p-1">
      <div id={SUGGESTIONS_ID} role="listbox" aria-label="Suggestions">
        {suggestions.map((one, i) => (
          // The box keeps the focus and takes the keys.
          // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus
          <div
            key={one.label}
            id={suggestionId(i)}
            role="option"
            aria-selected={i === chosen}
            className={`menu-item cursor-pointer justify-between gap-4 font-mono ${i === chosen ? "bg-accent-soft text-accent-strong" : ""}`}
            onPointerDown={(event) => event.preventDefault()}
            onClick={() => take(one)}
          >
            <bdi className="truncate">{visibleText(one.label) || '""'}</bdi>
            {one.count > 0 && <span className="shrink-0 text-xs text-muted tabular-nums">{one.atLeast ? "≥ " : ""}{one.count.toLocaleString("en")}</span>}
          </div>
        ))}
      </div>
      <p aria-hidden="true" className="px-2 pt-1 pb-0.5 text-xs text-faint max-sm:hidden">↓ chooses, Tab takes it, Enter without a choice runs the query</p>
    </div>
  );
}
