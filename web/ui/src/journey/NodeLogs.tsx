// The logs of one node of a large journey: read with it, opened in place.

import { useState } from "react";
import type { JourneyNode, LogOrSpan } from "../api";
import { DataBlock, DataLine } from "../components/Data";
import { RecordFields, type Filter } from "../components/RecordFields";
import { LevelWord } from "../components/Tags";
import { levelOf } from "../level";
import { messageOf } from "../text/value";
import { formatSigned } from "../time/duration";
import { nanosBetween, parseInstant } from "../time/instant";
import type { JourneyModel } from "./model";

const LOGS_SHOWN_MAX = 500;

export function NodeLogs({ model, node, onFilter }: { model: JourneyModel; node: JourneyNode; onFilter: Filter }) {
  const [limit, setLimit] = useState(LOGS_SHOWN_MAX);
  const logs = node.logs ?? [];
  const total = Math.max(node.logs_total ?? 0, logs.length);
  if (logs.length === 0) return <p className="text-muted">No logs here.</p>;
  return (
    <>
      <p className="text-sm text-muted">
        {logs.length < total
          ? `The first ${logs.length.toLocaleString("en")} of ${total.toLocaleString("en")} logs of this span. A search for one of its ids finds all.`
          : "Logs of this span, in time order. Those of spans below are read with these."}
      </p>
      <ol className="divide-y divide-line rounded-md border border-line bg-surface">
        {logs.slice(0, limit).map((log) => (
          <OneLog key={String(log.record_id)} model={model} log={log} correctedBy={node.corrected_by_ns ?? 0} onFilter={onFilter} />
        ))}
      </ol>
      {logs.length > limit && (
        <button type="button" className="button" onClick={() => setLimit(limit * 4)}>
          Show more ({(logs.length - limit).toLocaleString("en")} left)
        </button>
      )}
    </>
  );
}

interface OneLogProps {
  model: JourneyModel;
  log: LogOrSpan;
  correctedBy: number;
  onFilter: Filter;
}

function OneLog({ model, log, correctedBy, onFilter }: OneLogProps) {
  const [open, setOpen] = useState(false);
  const instant = parseInstant(log.timestamp);
  return (
    <li>
      <button type="button" aria-expanded={open} className="block w-full px-2.5 py-1 text-left hover:bg-hover" onClick={() => setOpen(!open)}>
        <span className="flex gap-2 text-xs text-faint">
          {instant && <span className="font-mono tabular-nums">{formatSigned(nanosBetween(instant, model.origin) + correctedBy)}</span>}
          <LevelWord level={levelOf(log)} />
        </span>
        {open ? null : <DataLine text={messageOf(log)} className="block truncate font-mono text-sm" />}
      </button>
      {open && (
        <div className="space-y-3 px-2.5 pb-3">
          <div className="font-mono text-sm"><DataBlock text={messageOf(log) || "(no message)"} /></div>
          <RecordFields record={log} onFilter={onFilter} />
        </div>
      )}
    </li>
  );
}
