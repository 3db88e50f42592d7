// Everything about the selected row: a span, a log, an inferred service, a missing parent.

import { useState } from "react";
import type { Inference, JourneyNode, LogOrSpan } from "../api";
import { CopyButton } from "../components/Copy";
import { DataBlock, DataLine } from "../components/Data";
import { Icon } from "../components/Icon";
import { RawRecord, RecordFields, type Filter } from "../components/RecordFields";
import { LevelWord, Notice, ServiceName } from "../components/Tags";
import { isErrorStatus, levelOf } from "../level";
import { ExactTime } from "../search/ResultRow";
import { jsonText, messageOf } from "../text/value";
import { visibleText } from "../text/visible";
import { formatDuration, formatSigned } from "../time/duration";
import type { Zone } from "../time/instant";
import type { NodeSource } from "./load";
import { gapText, groupText, type Gap, type Group, type Marks } from "./marks";
import { LEVELS, nameOf, rowsOfSubtreeLogs, serviceOf, type JourneyModel } from "./model";
import { NodeLogs } from "./NodeLogs";
import { useNode } from "./useNode";

interface DetailProps {
  model: JourneyModel;
  marks: Marks;
  source: NodeSource;
  row: number;
  zone: Zone;
  onClose: () => void;
  onSelect: (row: number) => void;
  onJump: (node: number) => void;
  onFilter: Filter;
}

type Tab = "fields" | "logs" | "raw";

export function Detail({ model, marks, source, row, zone, onClose, onSelect, onJump, onFilter }: DetailProps) {
  const [tab, setTab] = useState<Tab>("fields");
  const { node, loading, error } = useNode(model, row, source);
  const outlined = model.nodes === null;
  const log = row < 0 ? model.logs[~row] : undefined;
  const record = log ?? node?.span ?? null;
  const raw = log ?? node;
  const logs = row >= 0 ? rowsOfSubtreeLogs(model, row) : [];
  const logCount = outlined ? (model.logsTotal[row] ?? 0) : logs.length;
  const shown: Tab = tab === "logs" && row < 0 ? "fields" : tab;
  return (
    <aside
      aria-label="Details"
      className="flex h-[62%] shrink-0 flex-col border-t border-line-strong bg-bg sm:h-auto sm:w-[360px] sm:border-t-0 sm:border-l sm:border-line lg:w-[420px]"
    >
      <div className="flex items-start gap-2 border-b border-line bg-surface px-4 pt-3">
        <div className="min-w-0 flex-1">
          <Title model={model} row={row} node={node} log={log} />
          <div role="group" aria-label="Show" className="mt-1.5 -ml-2 flex gap-1 pb-1.5">
            <TabButton tab="fields" current={shown} set={setTab}>Fields</TabButton>
            {row >= 0 && <TabButton tab="logs" current={shown} set={setTab}>Logs {logCount.toLocaleString("en")}</TabButton>}
            <TabButton tab="raw" current={shown} set={setTab}>Raw</TabButton>
          </div>
        </div>
        <CopyButton text={jsonText(raw, 2)} label="Copy JSON" />
        <button type="button" className="icon-button size-6" aria-label="Close details" title="Close (Esc)" onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      {/* The panel scrolls by keyboard. */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div className="min-h-0 flex-1 space-y-4 overflow-y-auto px-4 py-3" tabIndex={0} role="region" aria-label="Fields of the selection">
        {loading && <p className="flex items-center gap-2 text-muted" role="status"><span className="spin text-accent"><Icon name="refresh" /></span>Reading this span and its logs</p>}
        {error !== null && <Notice tone="error"><span className="data">{visibleText(error)}</span></Notice>}
        {shown === "raw" && raw && <RawRecord value={raw} />}
        {shown === "logs" && !outlined && <SubtreeLogs model={model} rows={logs} onSelect={onSelect} />}
        {shown === "logs" && outlined && node && <NodeLogs key={node.node_id} model={model} node={node} onFilter={onFilter} />}
        {shown === "fields" && (
          <>
            {node && <About node={node} />}
            {row >= 0 && <AboutTree gaps={marks.gaps.get(row) ?? []} groups={marks.groups.get(row) ?? []} onJump={onJump} />}
            {log && <Message log={log} />}
            <ExactTime timestamp={record?.timestamp ?? node?.start ?? ""} zone={zone} />
            {record && <RecordFields record={record} onFilter={onFilter} />}
          </>
        )}
      </div>
    </aside>
  );
}

function TabButton({ tab, current, set, children }: { tab: Tab; current: Tab; set: (tab: Tab) => void; children: React.ReactNode }) {
  return (
    <button type="button" aria-pressed={tab === current} className="segment" onClick={() => set(tab)}>
      {children}
    </button>
  );
}

interface TitleProps {
  model: JourneyModel;
  row: number;
  node: JourneyNode | undefined;
  log: LogOrSpan | undefined;
}

function Title({ model, row, node, log }: TitleProps) {
  if (log) {
    return (
      <div className="flex items-center gap-2">
        <LevelWord level={levelOf(log)} />
        <ServiceName name={log.service ?? ""} className="font-medium" />
      </div>
    );
  }
  return (
    <>
      <h2 className="font-semibold">
        <DataLine text={node?.missing ? "Unknown parent" : nameOf(model, row) || "(no name)"} />
      </h2>
      <div className="flex flex-wrap items-center gap-x-3 text-sm text-muted">
        {!node?.missing && <ServiceName name={serviceOf(model, row)} inferred={Boolean(node?.inferred) && !node?.span} />}
        {node?.kind && <span>{node.kind.toLowerCase()}</span>}
      </div>
    </>
  );
}

function Message({ log }: { log: LogOrSpan }) {
  return (
    <div className="rounded-md border border-line bg-surface px-3 py-2 font-mono text-sm">
      <DataBlock text={messageOf(log) || "(no message)"} />
    </div>
  );
}

const isUndecided = (why: Inference) => (why.candidates?.length ?? 0) > 0;

function About({ node }: { node: JourneyNode }) {
  const status = node.span?.status_message;
  return (
    <div className="space-y-2">
      {node.missing && (
        <Notice tone="warn">Spans below name this span as their parent, but it was never received: not sent, sampled away, or still on its way.</Notice>
      )}
      {node.inferred && (
        <Notice tone={isUndecided(node.inferred) ? "warn" : "info"}>
          <p className="font-semibold">{isUndecided(node.inferred) ? "Not decided" : node.span ? "Place inferred" : "Inferred"}, confidence {Math.round(node.inferred.confidence * 100)} %</p>
          <p className="data">{visibleText(node.inferred.reason)}</p>
        </Notice>
      )}
      {isErrorStatus(node.status) && (
        <Notice tone="error"><DataBlock text={status || "The span's status is error."} /></Notice>
      )}
      {(node.flags?.length ?? 0) > 0 && <Notice tone="warn">{node.flags?.map((flag) => visibleText(flag.replaceAll("_", " "))).join(", ")}</Notice>}
      {!node.missing && (
        <dl className="flex flex-wrap gap-x-5 text-sm">
          <Number name="duration" value={formatDuration(node.duration_ns)} />
          {node.self_time_ns !== undefined && node.span && <Number name="self time" value={formatDuration(node.self_time_ns)} />}
          {node.critical && <Number name="critical path" value="yes, estimated" />}
          {(node.children ?? 0) > 0 && <Number name="children" value={String(node.children)} />}
        </dl>
      )}
    </div>
  );
}

interface AboutTreeProps {
  gaps: readonly Gap[];
  groups: readonly Group[];
  onJump: (node: number) => void;
}

/** Where the span recorded nothing, and which of its children are alike. */
function AboutTree({ gaps, groups, onJump }: AboutTreeProps) {
  if (gaps.length + groups.length === 0) return null;
  return (
    <ul className="space-y-1.5 text-sm">
      {gaps.map((gap) => (
        <li key={gap.from} className="flex items-center gap-2">
          <span aria-hidden="true" className="wf-hatch shrink-0" />
          <span>
            {gapText(gap)}, from {formatSigned(gap.from)} on: no span below, no log
          </span>
        </li>
      ))}
      {groups.map((group) => (
        <li key={`${group.service} ${group.name} ${group.kind}`}>
          <span className="data">{groupText(group)}</span>{" "}
          <button type="button" className="font-medium text-accent hover:underline" disabled={group.slowest < 0} onClick={() => onJump(group.slowest)}>
            Show the slowest
          </button>
        </li>
      ))}
    </ul>
  );
}

function Number({ name, value }: { name: string; value: string }) {
  return (
    <div className="flex gap-1.5">
      <dt className="text-muted">{name}</dt>
      <dd className="font-medium tabular-nums">{value}</dd>
    </div>
  );
}

const LOGS_SHOWN_MAX = 500;

function SubtreeLogs({ model, rows, onSelect }: { model: JourneyModel; rows: readonly number[]; onSelect: (row: number) => void }) {
  const [limit, setLimit] = useState(LOGS_SHOWN_MAX);
  if (rows.length === 0) return <p className="text-muted">No logs here or below.</p>;
  return (
    <>
      <p className="text-sm text-muted">Logs of this span and everything below, in time order.</p>
      <ol className="divide-y divide-line rounded-md border border-line bg-surface">
        {rows.slice(0, limit).map((row) => (
          <li key={row}>
            <button type="button" className="block w-full px-2.5 py-1 text-left hover:bg-hover" onClick={() => onSelect(row)}>
              <span className="flex gap-2 text-xs text-faint">
                <span className="font-mono tabular-nums">{formatSigned(model.logTime[~row] ?? 0)}</span>
                <LevelWord level={LEVELS[model.logLevel[~row] ?? 0] ?? "none"} />
                <span className="truncate">{visibleText(model.logs[~row]?.service ?? "")}</span>
              </span>
              <DataLine text={messageOf(model.logs[~row] as LogOrSpan)} className="block font-mono text-sm" />
            </button>
          </li>
        ))}
      </ol>
      {rows.length > limit && (
        <button type="button" className="button" onClick={() => setLimit(limit * 4)}>
          Show more ({(rows.length - limit).toLocaleString("en")} left)
        </button>
      )}
    </>
  );
}
