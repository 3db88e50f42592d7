// One record on one line, and all of it when opened.

import { memo } from "react";
import type { LogOrSpan } from "../api";
import { CopyButton } from "../components/Copy";
import { DataBlock, DataLine } from "../components/Data";
import { Icon } from "../components/Icon";
import { JourneyLink } from "../components/JourneyLink";
import { RecordFields, type Filter } from "../components/RecordFields";
import { LevelWord, ServiceName } from "../components/Tags";
import { shortenId } from "../ids/recognise";
import { levelOf } from "../level";
import { condition } from "../query/edit";
import { jsonText, messageOf, valueText } from "../text/value";
import { visibleText } from "../text/visible";
import { formatDuration } from "../time/duration";
import { clockAt, offsetMinutes, parseInstant, type Zone } from "../time/instant";

export interface ResultRowProps {
  record: LogOrSpan;
  words: readonly string[];
  zone: Zone;
  showDate: boolean;
  open: boolean;
  active: boolean;
  /** The row above carries the same id. */
  sameId: boolean;
  onToggle: () => void;
  onFilter: Filter;
}

/** The id that opens the record's journey. */
export function journeyIdOf(record: LogOrSpan): string | undefined {
  return record.request_ids?.[0] ?? record.trace_id;
}

/** Column widths, shared with the head of the list. */
export const COLUMNS = "sm:grid sm:grid-cols-[16px_16px_auto_minmax(84px,132px)_58px_104px_minmax(0,1fr)] sm:items-center sm:gap-x-2.5";

export const ResultRow = memo(function ResultRow({ record, words, zone, showDate, open, active, sameId, onToggle, onFilter }: ResultRowProps) {
  const level = levelOf(record);
  const bad = level === "error" || level === "fatal";
  const id = journeyIdOf(record);
  return (
    <div className={`border-b border-l-2 border-b-line ${open ? "bg-sunken" : ""} ${active ? "border-l-accent" : "border-l-transparent"}`}>
      {/* The button inside is the keyboard's way; the whole line is the mouse's. */}
      {/* oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-static-element-interactions */}
      <div
        className={`relative cursor-pointer py-[3px] pr-3 pl-2.5 sm:pr-4 ${COLUMNS} flex flex-wrap items-center gap-x-2 hover:bg-hover ${active ? "bg-selected" : bad ? "bg-error-soft/60" : ""}`}
        onClick={() => {
          // Selecting text is not opening.
          if (getSelection()?.isCollapsed !== false) onToggle();
        }}
      >
        <button
          type="button"
          data-toggle
          aria-expanded={open}
          aria-label={`${open ? "Close" : "Open"} ${record.kind}`}
          className={`flex size-4 items-center justify-center rounded text-faint transition-transform ${open ? "rotate-90" : ""}`}
          onClick={(event) => {
            event.stopPropagation();
            onToggle();
          }}
        >
          <Icon name="chevron" size={11} />
        </button>
        <span className="text-faint" title={record.kind}>
          <Icon name={record.kind} size={13} />
        </span>
        <TimeCell timestamp={record.timestamp} zone={zone} showDate={showDate} />
        <ServiceName name={record.service ?? ""} className="text-sm font-medium" />
        <LevelCell record={record} />
        <span className="ml-auto truncate font-mono text-xs sm:ml-0">
          {id && <JourneyLink id={id} className={sameId ? "text-faint hover:text-accent hover:underline" : "text-accent hover:underline"} title={`Open the journey of ${visibleText(id)}`}>{shortenId(visibleText(id))}</JourneyLink>}
        </span>
        <span className="flex w-full min-w-0 items-baseline gap-2 pl-6 sm:pl-0">
          <DataLine text={messageOf(record)} words={words} className={`min-w-0 truncate font-mono text-sm ${bad ? "text-error" : ""}`} />
          {record.duration_ns !== undefined && <span className="shrink-0 font-mono text-xs text-faint">{formatDuration(record.duration_ns)}</span>}
          <Hints record={record} />
        </span>
      </div>
      {open && <RowDetail record={record} words={words} zone={zone} onFilter={onFilter} />}
    </div>
  );
});

const HINTS_MAX = 5;

/** A few short attributes behind the message. */
function Hints({ record }: { record: LogOrSpan }) {
  const hints = Object.entries(record.attributes ?? {})
    .filter(([key, value]) => (typeof value !== "object" || value === null) && key.length + valueText(value).length < 48)
    .slice(0, HINTS_MAX);
  return (
    <span className="hidden min-w-0 flex-1 basis-0 truncate font-mono text-xs text-faint sm:block">
      {hints.map(([key, value]) => (
        <bdi key={key} className="mr-2.5">
          {visibleText(key)}=<span className="text-muted">{visibleText(valueText(value))}</span>
        </bdi>
      ))}
    </span>
  );
}

function TimeCell({ timestamp, zone, showDate }: { timestamp: string; zone: Zone; showDate: boolean }) {
  const instant = parseInstant(timestamp);
  if (!instant) return <span className="font-mono text-sm">{timestamp}</span>;
  const clock = clockAt(instant, zone);
  return (
    <time dateTime={timestamp} title={timestamp} className="font-mono text-sm whitespace-nowrap text-muted tabular-nums">
      {showDate && <span className="mr-1.5 text-faint">{clock.date}</span>}
      {clock.time.slice(0, -4)}
      <span className="text-faint">{clock.time.slice(-4)}</span>
    </time>
  );
}

function LevelCell({ record }: { record: LogOrSpan }) {
  const level = levelOf(record);
  if (record.kind === "span" && level === "none") return <span className="font-mono text-xs text-faint">{(record.span_kind ?? "span").toLowerCase()}</span>;
  return level === "none" ? <span /> : <LevelWord level={level} />;
}

function RowDetail({ record, words, zone, onFilter }: { record: LogOrSpan; words: readonly string[]; zone: Zone; onFilter: Filter }) {
  const id = journeyIdOf(record);
  const message = messageOf(record);
  return (
    <div className="space-y-4 border-t border-line px-4 pt-3 pb-5 sm:px-12">
      <div className="flex flex-wrap items-center gap-1.5">
        {id && (
          <JourneyLink id={id} className="button button-primary">
            <Icon name="journey" /> Open journey
          </JourneyLink>
        )}
        {record.service && (
          <button type="button" className="button" onClick={() => onFilter(condition("service", record.service ?? ""))}>
            <Icon name="plus" size={12} /> Only {visibleText(record.service)}
          </button>
        )}
        <span className="ml-auto flex items-center text-sm text-muted">
          Copy message <CopyButton text={message} label="Copy message" />
          <span className="ml-2">Copy JSON</span> <CopyButton text={jsonText(record, 2)} label="Copy JSON" />
        </span>
      </div>
      <div className="max-h-96 overflow-y-auto rounded-md border border-line bg-surface px-3 py-2 font-mono text-sm">
        <DataBlock text={message || "(no message)"} words={words} />
        {record.status_message && (
          <p className="mt-1 text-error">
            <DataBlock text={record.status_message} />
          </p>
        )}
      </div>
      <ExactTime timestamp={record.timestamp} zone={zone} />
      <RecordFields record={record} onFilter={onFilter} />
    </div>
  );
}

/** The moment to the nanosecond: in the reader's zone, in UTC, as a number. */
export function ExactTime({ timestamp, zone }: { timestamp: string; zone: Zone }) {
  const instant = parseInstant(timestamp);
  if (!instant) return null;
  const here = clockAt(instant, zone);
  const utc = clockAt(instant, "UTC");
  const nanos = `${instant.seconds}${String(instant.nanos).padStart(9, "0")}`;
  const inUtc = offsetMinutes(instant.seconds * 1000, zone) === 0;
  return (
    <p className="flex flex-wrap gap-x-4 font-mono text-xs text-faint">
      <span>{here.date} {here.exact}{inUtc ? " UTC" : ""}</span>
      {!inUtc && <span>{utc.date} {utc.exact} UTC</span>}
      <span>unix ns {nanos}</span>
    </p>
  );
}
