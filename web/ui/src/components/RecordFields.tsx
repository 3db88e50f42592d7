// Every field of a record, with what can be done with it: filter for, exclude, copy.

import type { ReactNode } from "react";
import type { Attributes, LogOrSpan, SpanEvent, Value } from "../api";
import { canFilter, condition } from "../query/edit";
import { visibleText } from "../text/visible";
import { jsonText, sortedEntries, valueText } from "../text/value";
import { CopyButton } from "./Copy";
import { DataBlock } from "./Data";
import { Icon } from "./Icon";
import { JourneyLink } from "./JourneyLink";
import { Notice } from "./Tags";

export type Filter = (added: string) => void;

interface RecordFieldsProps {
  record: LogOrSpan;
  onFilter: Filter;
}

export function RecordFields({ record, onFilter }: RecordFieldsProps) {
  return (
    <div className="@container">
      <div className="grid items-start gap-4 @4xl:grid-cols-2">
        <div className="space-y-4"><OwnFields record={record} onFilter={onFilter} /></div>
        <div className="space-y-4">
          <AttributeSection title="Resource" attributes={record.resource} prefix="resource." onFilter={onFilter} />
          <AttributeSection title="Scope" attributes={record.scope} onFilter={onFilter} />
          <More record={record} onFilter={onFilter} />
        </div>
      </div>
    </div>
  );
}

/** What only this record has. */
function OwnFields({ record, onFilter }: RecordFieldsProps) {
  return (
    <>
      <Section title="Ids">
        {idEntries(record).map(([name, field, id]) => (
          <Field key={name + id} name={name} value={id} query={field} onFilter={onFilter}>
            <JourneyLink id={id}>{visibleText(id)}</JourneyLink>
          </Field>
        ))}
      </Section>
      <AttributeSection title="Attributes" attributes={record.attributes} onFilter={onFilter} />
      <Dropped record={record} />
      {(record.events?.length ?? 0) > 0 && (
        <Section title="Events">
          {record.events?.map((event, i) => <EventFields key={`${event.timestamp}${event.name}${String(i)}`} event={event} />)}
        </Section>
      )}
      {(record.links?.length ?? 0) > 0 && (
        <Section title="Links">
          {record.links?.map((link) => (
            <Field key={`${link.trace_id}${link.span_id}`} name="linked trace" value={link.trace_id ?? ""} onFilter={onFilter}>
              <JourneyLink id={link.trace_id ?? ""}>{link.trace_id}</JourneyLink>
            </Field>
          ))}
        </Section>
      )}
    </>
  );
}

/** What the sender left out is said, not hidden. */
function Dropped({ record }: { record: LogOrSpan }) {
  const counts: [number | undefined, string][] = [
    [record.dropped_attributes_count, "attributes"],
    [record.dropped_events_count, "events"],
    [record.dropped_links_count, "links"],
  ];
  const said = counts.filter(([count]) => (count ?? 0) > 0).map(([count, what]) => `${count} ${what}`);
  return said.length === 0 ? null : <Notice tone="warn">The sender dropped {said.join(", ")}.</Notice>;
}

/** Fields that few records have. */
function More({ record, onFilter }: RecordFieldsProps) {
  const fields: [string, string | undefined][] = [
    ["event name", record.event_name],
    ["trace state", record.trace_state],
    ["observed", record.observed_timestamp],
    ["time as sent", record.original_time],
  ];
  const present = fields.filter((field): field is [string, string] => field[1] !== undefined && field[1] !== "");
  if (present.length === 0) return null;
  return (
    <Section title="More">
      {present.map(([name, value]) => <Field key={name} name={name} value={value} onFilter={onFilter} />)}
    </Section>
  );
}

function idEntries(record: LogOrSpan): [name: string, field: string, id: string][] {
  const entries: [string, string, string][] = (record.request_ids ?? []).map((id) => ["request id", "request", id]);
  if (record.trace_id) entries.push(["trace id", "trace", record.trace_id]);
  if (record.span_id) entries.push(["span id", "span", record.span_id]);
  if (record.parent_span_id) entries.push(["parent span id", "span", record.parent_span_id]);
  return entries;
}

export function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section>
      <h3 className="mb-1 text-xs font-semibold text-faint">{title}</h3>
      <dl className="divide-y divide-line rounded-md border border-line bg-surface">{children}</dl>
    </section>
  );
}

interface AttributeSectionProps {
  title: string;
  attributes: Attributes | undefined;
  prefix?: string;
  onFilter: Filter;
}

function AttributeSection({ title, attributes, prefix = "", onFilter }: AttributeSectionProps) {
  const entries = sortedEntries(attributes);
  if (entries.length === 0) return null;
  return (
    <Section title={title}>
      {entries.map(([key, value]) => (
        <Field
          key={key}
          name={key}
          value={valueText(value)}
          {...(isPlain(value) && title !== "Scope" ? { query: key === "service.name" ? "service" : prefix + key } : {})}
          onFilter={onFilter}
        />
      ))}
    </Section>
  );
}

function isPlain(value: Value): boolean {
  return typeof value !== "object";
}

interface FieldProps {
  name: string;
  value: string;
  /** The name of the field in the query language; without it there is no filter. */
  query?: string;
  onFilter: Filter;
  children?: ReactNode;
}

export function Field({ name, value, query, onFilter, children }: FieldProps) {
  const filterable = query !== undefined && canFilter(query) && value.length < 500;
  return (
    <div className="group/field relative grid min-h-7 grid-cols-[minmax(96px,min(38%,240px))_1fr] items-start gap-x-3 px-2.5 py-0.5 hover:bg-hover pointer-coarse:grid-cols-[1fr_auto]">
      <dt className="data py-0.5 font-mono text-sm text-muted pointer-coarse:col-span-2 pointer-coarse:pb-0 pointer-coarse:text-xs">{visibleText(name)}</dt>
      <dd className="data min-w-0 py-0.5 font-mono text-sm">{children ?? <DataBlock text={value} />}</dd>
      <dd className="absolute top-0.5 right-1 flex rounded-md bg-hover opacity-0 group-focus-within/field:opacity-100 group-hover/field:opacity-100 pointer-coarse:static pointer-coarse:bg-transparent pointer-coarse:opacity-100">
        {filterable && query !== undefined && (
          <>
            <FieldAction icon="plus" label={`Filter for ${name}`} act={() => onFilter(condition(query, value))} />
            <FieldAction icon="minus" label={`Exclude ${name}`} act={() => onFilter(condition(query, value, true))} />
          </>
        )}
        <CopyButton text={value} label={`Copy ${visibleText(name)}`} />
      </dd>
    </div>
  );
}

function FieldAction({ icon, label, act }: { icon: "plus" | "minus"; label: string; act: () => void }) {
  return (
    <button type="button" className="icon-button size-6" aria-label={visibleText(label)} title={visibleText(label)} onClick={act}>
      <Icon name={icon} size={13} />
    </button>
  );
}

function EventFields({ event }: { event: SpanEvent }) {
  return (
    <div className="px-2.5 py-1.5">
      <dt className="data flex gap-2 font-mono text-sm">
        <span className="font-semibold">{visibleText(event.name ?? "event")}</span>
        <span className="text-faint">{event.timestamp}</span>
      </dt>
      <dd className="mt-1 space-y-1">
        {sortedEntries(event.attributes).map(([key, value]) => (
          <div key={key} className="font-mono text-sm">
            <div className="data text-muted">{visibleText(key)}</div>
            <DataBlock text={valueText(value)} className="block pl-3" />
          </div>
        ))}
      </dd>
    </div>
  );
}

export function RawRecord({ value }: { value: unknown }) {
  const text = jsonText(value, 2);
  return (
    <div className="relative rounded-md border border-line bg-surface p-3 font-mono text-sm">
      <div className="absolute top-1 right-1"><CopyButton text={text} label="Copy JSON" /></div>
      <DataBlock text={text} />
    </div>
  );
}
