// The query box. Enter runs, Shift+Enter breaks the line; what was typed is never changed.

import { useEffect, useRef } from "react";
import type { ApiError } from "../api";
import { Icon } from "../components/Icon";
import { mayBeId, recogniseId } from "../ids/recognise";
import { columnOfByte } from "../query/edit";
import { SUGGESTIONS_ID, suggestionId, SuggestionList } from "./SuggestionList";
import { useCompletion } from "./useCompletion";

interface QueryBoxProps {
  value: string;
  onChange: (value: string) => void;
  onRun: (value: string) => void;
  onOpenId: (id: string) => void;
  error: ApiError | null;
  /** The query that the error is about. */
  ran: string;
}

const LINES_MAX = 8;

export function QueryBox({ value, onChange, onRun, onOpenId, error, ran }: QueryBoxProps) {
  const box = useRef<HTMLTextAreaElement>(null);
  const id = recogniseId(value);
  const completion = useCompletion(box, onChange);
  const suggesting = completion.suggestions.length > 0;
  useEffect(() => {
    if (matchMedia("(min-width: 720px)").matches) box.current?.focus();
  }, []);
  const run = () => {
    completion.close();
    if (id) onOpenId(id);
    else onRun(value);
  };
  return (
    <form
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        run();
      }}
    >
      <div className="relative flex items-start gap-2 rounded-lg border border-line-strong bg-surface p-1 pl-3 focus-within:border-accent focus-within:ring-3 focus-within:ring-accent/20">
        <span className="mt-2 text-faint"><Icon name="search" size={16} /></span>
        <textarea
          ref={box}
          id="query"
          role="combobox"
          aria-autocomplete="list"
          aria-expanded={suggesting}
          aria-controls={suggesting ? SUGGESTIONS_ID : undefined}
          aria-activedescendant={completion.chosen >= 0 ? suggestionId(completion.chosen) : undefined}
          aria-label="Query or id"
          aria-invalid={error?.position !== undefined}
          aria-describedby={error ? "query-error" : "query-hint"}
          className="my-1 min-w-0 flex-1 resize-none bg-transparent font-mono text-base leading-6 outline-none placeholder:font-sans placeholder:text-faint"
          rows={Math.min(LINES_MAX, value.split("\n").length)}
          placeholder="Paste any id, or search: service:payments level>=warn &quot;declined&quot;"
          spellCheck={false}
          autoCapitalize="off"
          autoComplete="off"
          value={value}
          onChange={(event) => {
            onChange(event.target.value);
            completion.onInput(event.target);
          }}
          onBlur={completion.close}
          onKeyDown={(event) => {
            if (event.nativeEvent.isComposing) return;
            if (completion.onKey(event)) event.preventDefault();
            else if (event.key === "Enter" && !event.shiftKey) {
              event.preventDefault();
              run();
            } else if (event.key === "Escape") {
              event.preventDefault();
              event.currentTarget.blur();
            }
          }}
        />
        <button type="submit" className="button button-primary h-8 px-3">
          {id ? "Open journey" : "Run"}
          <span aria-hidden="true" className="hidden opacity-75 sm:inline">⏎</span>
        </button>
        <SuggestionList {...completion} />
      </div>
      {error ? <QueryError error={error} query={ran} /> : <IdHint value={value} id={id} onOpenId={onOpenId} onRun={onRun} />}
    </form>
  );
}

function QueryError({ error, query }: { error: ApiError; query: string }) {
  return (
    <div id="query-error" role="alert" className="mt-2 rounded-md bg-error-soft px-3 py-2 text-sm text-error">
      {error.position !== undefined && <Caret query={query} position={error.position} />}
      <p className="data font-medium">
        {error.message}
        {error.position !== undefined && <span className="font-normal"> (position {columnOfByte(query, error.position)})</span>}
      </p>
    </div>
  );
}

/** The line with the fault, and a caret below it. */
function Caret({ query, position }: { query: string; position: number }) {
  const column = columnOfByte(query, position);
  const characters = [...query];
  const lineStart = characters.lastIndexOf("\n", Math.max(0, column - 1)) + 1;
  const lineEnd = characters.indexOf("\n", column);
  const line = characters.slice(lineStart, lineEnd < 0 ? undefined : lineEnd).join("");
  return (
    <pre className="mb-1 overflow-x-auto font-mono text-base leading-5">
      {line}
      {"\n"}
      {" ".repeat(Math.max(0, column - lineStart))}^
    </pre>
  );
}

function IdHint({ value, id, onOpenId, onRun }: { value: string; id: string | null; onOpenId: (id: string) => void; onRun: (q: string) => void }) {
  const typed = value.trim();
  if (id) {
    return (
      <p id="query-hint" className="mt-1.5 text-sm text-muted">
        This is an id: Enter opens its journey.{" "}
        <button type="button" className="font-medium text-accent hover:underline" onClick={() => onRun(value)}>
          Search for it instead
        </button>
      </p>
    );
  }
  if (!mayBeId(typed)) return <span id="query-hint" />;
  return (
    <p id="query-hint" className="mt-1.5 text-sm text-muted">
      Is this an id?{" "}
      <button type="button" className="font-medium text-accent hover:underline" onClick={() => onOpenId(typed)}>
        Open its journey
      </button>
    </p>
  );
}
