// One row of the tree: who and what as text, when as a bar.

import { memo, useLayoutEffect, useRef } from "react";
import { DataLine } from "../components/Data";
import { Icon } from "../components/Icon";
import { LevelWord, ServiceName } from "../components/Tags";
import { levelOf } from "../level";
import { messageOf } from "../text/value";
import { visibleText } from "../text/visible";
import { paintRow } from "./draw";
import { errorsIn, FLAG_CRITICAL, FLAG_ERROR, FLAG_INFERRED, FLAG_MISSING, nameOf, serviceOf, type JourneyModel } from "./model";
import { gapText, groupText, type Gap, type Group } from "./marks";
import type { Stage } from "./stage";

interface WaterfallRowProps {
  row: number;
  index: number;
  top: number;
  height: number;
  behind: boolean;
  model: JourneyModel;
  stage: Stage;
  collapsible: boolean;
  collapsed: boolean;
  selected: boolean;
  found: boolean;
  dimmed: boolean;
  gaps: readonly Gap[] | undefined;
  groups: readonly Group[] | undefined;
  onSelect: (row: number) => void;
  onJump: (node: number) => void;
  onToggle: (node: number) => void;
}

const INDENT_PX = 14;
/** Deeper levels are indented no further; the number says how deep. */
const INDENT_LEVELS_MAX = 14;

export const WaterfallRow = memo(function WaterfallRow(p: WaterfallRowProps) {
  const { row, model } = p;
  const depth = row >= 0 ? (model.depth[row] ?? 0) : (model.depth[model.logNode[~row] ?? 0] ?? 0) + 1;
  const levels = Math.min(depth, INDENT_LEVELS_MAX);
  return (
    // The tree as a whole takes the keyboard (aria-activedescendant).
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus
    <div
      id={`row${row}`}
      role="row"
      aria-level={depth + 1}
      aria-rowindex={p.index + 1}
      aria-selected={p.selected}
      aria-expanded={p.collapsible ? !p.collapsed : undefined}
      className={`wf-row ${p.found ? "is-found" : ""} ${p.dimmed ? "is-dimmed" : ""}`}
      style={{ transform: `translateY(${p.top}px)` }}
      onClick={() => p.onSelect(row)}
      onDoubleClick={() => {
        if (p.collapsible) p.onToggle(row);
      }}
    >
      <div role="gridcell" className="wf-name">
        <span className="wf-indent" style={{ width: levels * INDENT_PX + 4 }} />
        {depth > INDENT_LEVELS_MAX && <span className="mr-1 font-mono text-xs text-faint">{depth}</span>}
        <Twisty {...p} />
        {row >= 0 ? <NodeName model={model} node={row} collapsed={p.collapsed} gaps={p.gaps} groups={p.groups} onJump={p.onJump} /> : <LogName model={model} log={~row} />}
      </div>
      <Bar {...p} />
    </div>
  );
});

function Twisty({ row, collapsible, collapsed, onToggle }: WaterfallRowProps) {
  if (!collapsible) return <span className="wf-twisty invisible" />;
  return (
    <button
      type="button"
      tabIndex={-1}
      className="wf-twisty"
      data-open={!collapsed}
      aria-label={collapsed ? "Expand" : "Collapse"}
      onClick={(event) => {
        event.stopPropagation();
        onToggle(row);
      }}
      onDoubleClick={(event) => event.stopPropagation()}
    >
      <Icon name="chevron" size={10} />
    </button>
  );
}

interface NodeNameProps extends Pick<WaterfallRowProps, "model" | "collapsed" | "gaps" | "groups" | "onJump"> {
  node: number;
}

function NodeName({ model, node, collapsed, gaps, groups, onJump }: NodeNameProps) {
  const flags = model.flags[node] ?? 0;
  if (flags & FLAG_MISSING) {
    return (
      <span className="ml-1 flex min-w-0 items-center gap-2 text-sm text-warn" title="Spans below name this span as their parent, but it was never received.">
        <Icon name="broken" size={12} />
        <span className="rounded border border-dashed border-warn px-1.5 leading-4">unknown parent</span>
        <span className="truncate font-mono text-xs text-faint">{visibleText((model.ids[node] ?? "").replace(/^missing[-:]/, ""))}</span>
      </span>
    );
  }
  const hidden = collapsed ? (model.subtreeEnd[node] ?? 0) - node - 1 : 0;
  const hiddenErrors = collapsed ? errorsIn(model, node) - (flags & FLAG_ERROR) : 0;
  const inferred = model.inferred.get(node);
  const unmeasured = (flags & FLAG_INFERRED) !== 0;
  const undecided = (inferred?.candidates?.length ?? 0) > 0;
  const why = inferred ? `${undecided ? "Not decided" : "Inferred"}: ${inferred.reason} (confidence ${Math.round(inferred.confidence * 100)} %)` : undefined;
  return (
    <span className="ml-1 flex min-w-0 flex-1 items-center gap-2 text-sm" title={why && visibleText(why)}>
      <span className={`flex max-w-[55%] shrink-0 items-center font-medium ${unmeasured ? "italic" : ""}`}>
        <ServiceName name={serviceOf(model, node)} inferred={unmeasured} />
        {inferred && !undecided && <span className="pl-px text-thread" aria-label="inferred">·</span>}
        {undecided && <span className="pl-px font-bold text-warn" aria-label="inferred, not decided">?</span>}
      </span>
      <DataLine text={unmeasured ? "logs only" : nameOf(model, node)} className={`min-w-0 truncate ${unmeasured ? "text-faint italic" : "text-muted"}`} />
      {hidden > 0 && <span className="shrink-0 rounded bg-sunken px-1 font-mono text-xs text-muted">+{hidden.toLocaleString("en")}</span>}
      {groups && <GroupChip groups={groups} onJump={onJump} />}
      {gaps && <span className="visually-hidden">{gaps.map(gapText).join(", ")}</span>}
      <span className="ml-auto flex shrink-0 items-center gap-1.5 pl-1">
        {model.nodes === null && <LogCount logs={model.logsTotal[node] ?? 0} errors={model.logErrors[node] ?? 0} />}
        {hiddenErrors > 0 && <span className="font-mono text-xs text-error">{hiddenErrors} ✗</span>}
        {(flags & FLAG_CRITICAL) !== 0 && <span className="visually-hidden">critical path</span>}
        {(flags & FLAG_ERROR) !== 0 && (
          <span className="text-error" title={visibleText(model.nodes?.[node]?.span?.status_message ?? "error")}>
            <Icon name="error" size={13} />
            <span className="visually-hidden">error</span>
          </span>
        )}
      </span>
    </span>
  );
}

/** Children that are alike; a click shows the slowest. */
function GroupChip({ groups, onJump }: { groups: readonly Group[]; onJump: (node: number) => void }) {
  const [most] = groups;
  if (!most) return null;
  return (
    <button
      type="button"
      tabIndex={-1}
      className={`wf-group ${most.errors > 0 ? "text-error" : "text-muted"}`}
      disabled={most.slowest < 0}
      title={`${groups.map(groupText).join("\n")}\nClick for the slowest.`}
      onClick={(event) => {
        event.stopPropagation();
        onJump(most.slowest);
      }}
      onDoubleClick={(event) => event.stopPropagation()}
    >
      {groupText(most)}
      {groups.length > 1 && `, and ${groups.length - 1} more`}
    </button>
  );
}

/** The logs of a large journey have no rows. */
function LogCount({ logs, errors }: { logs: number; errors: number }) {
  if (logs === 0) return null;
  return (
    <span className="inline-flex items-center gap-1 font-mono text-xs text-faint" title={`${logs.toLocaleString("en")} logs, ${errors.toLocaleString("en")} of them errors`}>
      <Icon name="log" size={10} />
      {logs.toLocaleString("en")}
      {errors > 0 && <span className="pl-1 text-error">{errors.toLocaleString("en")} ✗</span>}
    </span>
  );
}

function LogName({ model, log }: { model: JourneyModel; log: number }) {
  const record = model.logs[log];
  if (!record) return null;
  const level = levelOf(record);
  const bad = level === "error" || level === "fatal";
  const nodeService = serviceOf(model, model.logNode[log] ?? 0);
  return (
    <span className="ml-1 flex min-w-0 flex-1 items-center gap-2 text-sm">
      <span className="text-faint"><Icon name="log" size={12} /></span>
      <LevelWord level={level} />
      {record.service !== undefined && record.service !== nodeService && <ServiceName name={record.service} className="shrink-0 text-xs" />}
      <DataLine text={messageOf(record)} className={`min-w-0 truncate font-mono text-xs ${bad ? "text-error" : "text-muted"}`} />
    </span>
  );
}

const NO_GAPS: readonly Gap[] = [];

function Bar({ row, model, stage, height, behind, collapsed, dimmed, gaps = NO_GAPS }: WaterfallRowProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const overlay = useRef<HTMLDivElement>(null);
  useLayoutEffect(
    () =>
      stage.register(() => {
        if (canvas.current) paintRow(canvas.current, stage, model, row, height, { collapsed, dimmed, behind, gaps });
        placeGaps(overlay.current, stage, gaps);
      }),
    [stage, model, row, height, collapsed, dimmed, behind, gaps],
  );
  return (
    <div className="wf-bars" aria-hidden="true">
      <canvas ref={canvas} />
      {gaps.length > 0 && (
        <div ref={overlay}>
          {gaps.map((gap) => (
            <span key={gap.from} className="wf-gap"><span className="wf-gap-words">{gapText(gap)}</span></span>
          ))}
        </div>
      )}
    </div>
  );
}

/** The words stand in the middle of their gap, as far as the picture lets them; where they crowd, the longest gap's do. */
function placeGaps(overlay: HTMLElement | null, stage: Stage, gaps: readonly Gap[]): void {
  const taken: { left: number; right: number }[] = [];
  gaps.forEach((gap, i) => {
    const place = overlay?.children[i];
    const words = place?.firstElementChild;
    if (!(place instanceof HTMLElement) || !(words instanceof HTMLElement)) return;
    const from = Math.max(0, stage.x(gap.from));
    const until = Math.min(stage.width, stage.x(gap.until));
    place.hidden = until <= from;
    place.style.left = `${from}px`;
    place.style.width = `${until - from}px`;
    const width = words.offsetWidth;
    // Behind the bar stands its duration, which half covered would be another.
    const left = Math.max(4, Math.min((from + until - width) / 2, until - width));
    words.style.left = `${left - from}px`;
    place.dataset["crowded"] = String(taken.some((other) => left < other.right && other.left < left + width));
    taken.push({ left, right: left + width });
  });
}
