// Small marks: a service with its colour, a level as a word, the state of an answer.

import type { Completeness } from "../api";
import type { Level } from "../level";
import { serviceColor } from "../services/color";
import { visibleText } from "../text/visible";
import { Icon } from "./Icon";

export function ServiceName({ name, inferred = false, className = "" }: { name: string; inferred?: boolean; className?: string }) {
  const dot = inferred ? { borderColor: serviceColor(name) } : { background: serviceColor(name), borderColor: serviceColor(name) };
  return (
    <span className={`inline-flex min-w-0 items-center gap-1.5 ${className}`}>
      <span aria-hidden="true" className={`size-2 shrink-0 rounded-[2.5px] border-[1.5px] ${inferred ? "border-dashed" : ""}`} style={dot} />
      <bdi className="truncate">{visibleText(name) || "(no service)"}</bdi>
    </span>
  );
}

const LEVEL_CLASS: Record<Level, string> = {
  fatal: "bg-error-bar px-1 -mx-1 rounded-sm text-[#fff]",
  error: "text-error",
  warn: "text-warn",
  info: "text-info",
  debug: "text-faint",
  trace: "text-faint",
  none: "text-faint",
};

export function LevelWord({ level, word }: { level: Level; word?: string }) {
  return <span className={`font-mono text-xs font-semibold ${LEVEL_CLASS[level]}`}>{word ?? level.toUpperCase()}</span>;
}

const STATES = {
  complete: { icon: "check", className: "text-ok", word: "complete" },
  arriving: { icon: "refresh", className: "text-info", word: "arriving" },
  partial: { icon: "broken", className: "text-warn", word: "partial" },
} as const;

/** What an answer says about itself; anything but "complete" comes with its reasons. */
export function CompletenessNote({ completeness }: { completeness: Completeness }) {
  const state = STATES[completeness.state] ?? STATES.partial;
  const reasons = completeness.reasons ?? [];
  return (
    <span className={`inline-flex items-center gap-1 ${state.className}`}>
      <Icon name={state.icon} size={12} />
      <span className="font-medium">{state.word}</span>
      {completeness.state !== "complete" && reasons.length > 0 && <bdi className="data">: {reasons.map(visibleText).join("; ")}</bdi>}
    </span>
  );
}

export function Notice({ tone, children }: { tone: "error" | "warn" | "info"; children: React.ReactNode }) {
  const look = { error: "bg-error-soft text-error", warn: "bg-warn-soft text-warn", info: "bg-accent-soft text-accent-strong" }[tone];
  return (
    <div className={`flex items-start gap-2 rounded-md px-3 py-2 text-sm ${look}`} role={tone === "error" ? "alert" : "status"}>
      <span className="mt-0.5">
        <Icon name={tone === "info" ? "info" : "error"} />
      </span>
      <div className="min-w-0 flex-1">{children}</div>
    </div>
  );
}
