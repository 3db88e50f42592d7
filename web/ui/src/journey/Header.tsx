// What the journey is, and first of all whether it is all there.

import { Link } from "@tanstack/react-router";
import type { Completeness, JourneyHead } from "../api";
import { CopyButton } from "../components/Copy";
import { DataLine } from "../components/Data";
import { Icon } from "../components/Icon";
import { JourneyLink } from "../components/JourneyLink";
import { shortenId } from "../ids/recognise";
import { lastSearch } from "../search/last";
import { visibleText } from "../text/visible";
import { formatDuration } from "../time/duration";
import { clockAt, parseInstant, zoneName, type Zone } from "../time/instant";
import { FLAG_MISSING, nameOf, type JourneyModel } from "./model";

interface HeaderProps {
  head: JourneyHead;
  model: JourneyModel;
  loading: boolean;
  finished: boolean;
  reload: () => void;
  zone: Zone;
}

export function Header({ head, model, loading, finished, reload, zone }: HeaderProps) {
  const total = head.nodes_total ?? model.count;
  const root = model.flags.findIndex((flags) => (flags & FLAG_MISSING) === 0);
  return (
    <header className="space-y-1 px-3 pt-2 pb-2 sm:px-4">
      <CompletenessLine completeness={head.completeness} loading={loading} reload={reload}>
        {!finished && `${model.count.toLocaleString("en")} of ${total.toLocaleString("en")} nodes loaded`}
      </CompletenessLine>
      <div className="flex min-w-0 flex-wrap items-center gap-x-2">
        <Link to="/" search={lastSearch()} className="icon-button -mx-1.5" aria-label="Back to the results" title="Back to the results (Esc)">
          <Icon name="back" size={16} />
        </Link>
        <h1 className="min-w-0 truncate text-lg font-semibold tracking-tight">
          <DataLine text={(root >= 0 && nameOf(model, root)) || "Journey"} />
        </h1>
        <span className="flex min-w-0 items-center font-mono text-sm text-muted">
          <bdi className="truncate">{visibleText(head.id)}</bdi>
          <CopyButton text={head.id} label="Copy the id" />
        </span>
      </div>
      <div className="flex flex-wrap items-center gap-x-5 gap-y-0.5">
        <Facts head={head} zone={zone} />
        <Notes head={head} className="hidden sm:flex" />
      </div>
      <details className="text-sm text-muted sm:hidden">
        <summary>Start, other ids, links</summary>
        <p className="tabular-nums">{startText(head, zone)}</p>
        <Notes head={head} className="flex" />
      </details>
    </header>
  );
}

const LINES: Record<Completeness["state"], { icon: "check" | "refresh" | "broken"; className: string; text: string }> = {
  complete: { icon: "check", className: "text-ok", text: "Complete: every parent is here and everything was read." },
  arriving: { icon: "refresh", className: "text-info", text: "Still arriving" },
  partial: { icon: "broken", className: "text-warn", text: "Partial" },
};

interface CompletenessLineProps {
  completeness: Completeness;
  loading: boolean;
  reload: () => void;
  children: React.ReactNode;
}

function CompletenessLine({ completeness, loading, reload, children }: CompletenessLineProps) {
  const line = LINES[completeness.state] ?? LINES.partial;
  const missing = completeness.missing_parents ?? 0;
  const reasons = (completeness.reasons ?? []).map(visibleText);
  // The reasons may say it already.
  const parents = missing > 0 && !reasons.some((reason) => reason.includes("parent")) ? [`${missing.toLocaleString("en")} missing ${missing === 1 ? "parent" : "parents"}`] : [];
  const said = completeness.state === "complete" ? "" : [...parents, ...reasons].join("; ");
  return (
    <p className={`flex flex-wrap items-center gap-x-2 text-sm ${line.className}`} role="status">
      <Icon name={line.icon} size={13} />
      <span>
        <span className="font-semibold">{line.text}</span>
        {said && <bdi className="data">: {said}</bdi>}
      </span>
      <span className="text-muted tabular-nums">{children}</span>
      {completeness.state !== "complete" && (
        <button type="button" className="font-medium text-accent hover:underline disabled:no-underline disabled:opacity-60" disabled={loading} onClick={reload}>
          {loading ? "Loading" : "Look again"}
        </button>
      )}
    </p>
  );
}

function startText(head: HeaderProps["head"], zone: Zone): string {
  const start = parseInstant(head.start);
  if (!start) return head.start;
  const clock = clockAt(start, zone);
  return `${clock.date} ${clock.time} ${zoneName(zone)}`;
}

function Facts({ head, zone }: { head: HeaderProps["head"]; zone: Zone }) {
  const sum = (of: "spans" | "logs" | "errors") => head.services.reduce((total, service) => total + service[of], 0);
  const errors = sum("errors");
  return (
    <dl className="flex flex-wrap items-center gap-x-3 gap-y-0.5 text-sm text-muted sm:gap-x-5">
      <Fact name="started" value={startText(head, zone)} className="hidden sm:flex" />
      <Fact name="took" value={formatDuration(head.duration_ns)} strong />
      <Count of="span" count={sum("spans")} />
      <Count of="log" count={sum("logs")} />
      <Count of="service" count={head.services.length} />
      <div className={`flex items-center gap-1 ${errors > 0 ? "font-semibold text-error" : ""}`}>
        <dt className="order-2">{errors === 1 ? "error" : "errors"}</dt>
        <dd className="inline-flex items-center gap-1">{errors > 0 && <Icon name="error" size={12} />}{errors.toLocaleString("en")}</dd>
      </div>
    </dl>
  );
}

function Count({ of, count }: { of: string; count: number }) {
  return <Fact name={count === 1 ? of : `${of}s`} value={count.toLocaleString("en")} strong />;
}

function Fact({ name, value, strong = false, className = "flex" }: { name: string; value: string; strong?: boolean; className?: string }) {
  return (
    <div className={`gap-1 ${className}`}>
      <dt className={strong && name !== "took" ? "order-2" : ""}>{name}</dt>
      <dd className={`tabular-nums ${strong ? "font-semibold text-text" : ""}`}>{value}</dd>
    </div>
  );
}

const LINKS_MAX = 4;

/** Ids beside the one asked for, ids not followed, journeys that links lead to. */
function Notes({ head, className }: { head: HeaderProps["head"]; className: string }) {
  const ids = [...(head.request_ids ?? []), ...(head.trace_ids ?? [])].filter((id) => id !== head.id);
  const linked = head.linked ?? [];
  const hubs = head.hubs ?? [];
  if (ids.length + linked.length + hubs.length === 0) return null;
  return (
    <div className={`flex-wrap items-center gap-x-4 gap-y-0.5 text-sm text-muted ${className}`}>
      {ids.length > 0 && (
        <span className="inline-flex min-w-0 items-center gap-1">
          also
          {ids.slice(0, LINKS_MAX).map((id) => (
            <span key={id} className="inline-flex items-center font-mono text-xs" title={visibleText(id)}>
              {shortenId(visibleText(id))}
              <CopyButton text={id} label="Copy this id" />
            </span>
          ))}
          {ids.length > LINKS_MAX && `and ${ids.length - LINKS_MAX} more ids`}
        </span>
      )}
      {hubs.map((hub) => (
        <span key={hub.id} className="text-warn">
          id <bdi className="font-mono">{visibleText(hub.id)}</bdi> not followed: {visibleText(hub.reason)}
        </span>
      ))}
      {linked.length > 0 && (
        <span className="inline-flex flex-wrap items-center gap-x-2">
          <Icon name="link" size={12} /> linked
          {linked.slice(0, LINKS_MAX).map((link) => {
            const id = link.trace_id ?? link.id ?? "";
            return (
              <JourneyLink key={`${id}${link.span_id}`} id={id} className="font-mono text-xs text-accent hover:underline">
                {link.incoming ? "← " : "→ "}{shortenId(visibleText(id))}
              </JourneyLink>
            );
          })}
          {linked.length > LINKS_MAX && `and ${linked.length - LINKS_MAX} more`}
        </span>
      )}
    </div>
  );
}
