// Looking for something in the journey, and choosing what is shown.

import { CopyMenu, type CopyChoice } from "../components/Copy";
import { Icon } from "../components/Icon";
import type { LogMode } from "./rows";

export interface ToolbarProps {
  text: string;
  onText: (text: string) => void;
  /** Position of the selected match, 1 for the first; 0 for none. */
  matchAt: number;
  matchCount: number;
  errorCount: number;
  onStep: (step: 1 | -1) => void;
  onError: (step: 1 | -1) => void;
  gapCount: number;
  onGap: () => void;
  /** A large journey: logs and fields are read when a span is selected. */
  outlined: boolean;
  logMode: LogMode;
  onLogMode: (mode: LogMode) => void;
  inferred: boolean;
  onInferred: (on: boolean) => void;
  corrected: boolean;
  onCorrected: (on: boolean) => void;
  copy: readonly CopyChoice[];
}

const LOG_MODES: readonly { mode: LogMode; label: string }[] = [
  { mode: "all", label: "all" },
  { mode: "errors", label: "errors" },
  { mode: "none", label: "none" },
];

export function Toolbar(p: ToolbarProps) {
  return (
    <div className="flex items-center gap-1.5 max-sm:overflow-x-auto sm:flex-wrap border-y border-line bg-surface px-3 py-1.5 sm:px-4">
      <FindBox {...p} />
      <button type="button" className={`button shrink-0 ${p.errorCount > 0 ? "text-error" : ""}`} disabled={p.errorCount === 0} title="Next error (e)" onClick={() => p.onError(1)}>
        <Icon name="error" size={12} />
        {p.errorCount === 0 ? "No errors" : "Next error"}
      </button>
      {p.gapCount > 0 && (
        <button type="button" className="button shrink-0" title="Next span that recorded nothing for a tenth of the journey or more (g)" onClick={p.onGap}>
          <span aria-hidden="true" className="wf-hatch" />
          {p.gapCount} silent {p.gapCount === 1 ? "gap" : "gaps"}
        </button>
      )}
      {p.outlined ? (
        <span className="shrink-0 px-1 text-sm text-faint" title="The journey is large: logs and fields of a span are read when it is selected.">Logs: select a span</span>
      ) : (
        <LogModes {...p} />
      )}
      <Switch label="Inferred" on={p.inferred} onChange={p.onInferred} title="Show what was placed by inference: log-only services and broken contexts" />
      <Switch label="Corrected clocks" on={p.corrected} onChange={p.onCorrected} title="Move times by the estimated clock offsets; stored times never change" />
      <span className="ml-auto max-sm:hidden"><CopyMenu choices={p.copy} /></span>
    </div>
  );
}

function LogModes(p: ToolbarProps) {
  return (
    <div role="group" aria-label="Logs" className="flex h-7 shrink-0 items-center gap-px rounded-md border border-line px-0.5">
      <span className="px-1.5 text-sm text-faint">Logs</span>
      {LOG_MODES.map(({ mode, label }) => (
        <button key={mode} type="button" aria-pressed={p.logMode === mode} className="segment" onClick={() => p.onLogMode(mode)}>
          {label}
        </button>
      ))}
    </div>
  );
}

function FindBox({ text, onText, matchAt, matchCount, onStep, outlined }: ToolbarProps) {
  return (
    <div className="flex items-center gap-0.5">
      <input
        id="query"
        type="search"
        aria-label="Find in this journey"
        placeholder={outlined ? "Find service, name, id" : "Find in this journey"}
        className="field w-44 lg:w-56"
        spellCheck={false}
        value={text}
        onChange={(event) => onText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") onStep(event.shiftKey ? -1 : 1);
          if (event.key === "Escape") {
            // Only out of the box, not out of the journey.
            event.preventDefault();
            event.currentTarget.blur();
          }
        }}
      />
      {text !== "" && (
        <>
          <span className="min-w-12 px-1 text-center text-sm text-muted tabular-nums" aria-live="polite">
            {matchCount === 0 ? "none" : `${matchAt || "–"} / ${matchCount.toLocaleString("en")}`}
          </span>
          <button type="button" className="icon-button rotate-180" aria-label="Previous match" title="Previous (p)" onClick={() => onStep(-1)}>
            <Icon name="down" size={12} />
          </button>
          <button type="button" className="icon-button" aria-label="Next match" title="Next (n)" onClick={() => onStep(1)}>
            <Icon name="down" size={12} />
          </button>
        </>
      )}
    </div>
  );
}

function Switch({ label, on, onChange, title }: { label: string; on: boolean; onChange: (on: boolean) => void; title: string }) {
  return (
    <button type="button" role="switch" aria-checked={on} title={title} className="segment h-7 shrink-0 gap-1.5" onClick={() => onChange(!on)}>
      <span aria-hidden="true" className={`relative inline-block h-3.5 w-6 rounded-full ${on ? "bg-accent" : "bg-line-strong"}`}>
        <span className={`absolute top-0.5 size-2.5 rounded-full bg-surface transition-[left] ${on ? "left-3" : "left-0.5"}`} />
      </span>
      {label}
    </button>
  );
}
