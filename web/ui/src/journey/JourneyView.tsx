// A loaded journey, and everything the reader can do with it.

import { useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { journeyAddress } from "../api";
import type { CopyChoice } from "../components/Copy";
import { Notice } from "../components/Tags";
import { useHotkeys } from "../keys/hotkeys";
import { shellQuote } from "../query/edit";
import { lastSearch } from "../search/last";
import { onThemeChange } from "../theme/theme";
import type { Zone } from "../time/instant";
import { Detail } from "./Detail";
import { errorRows, findRows, stepThrough } from "./find";
import { Header } from "./Header";
import type { JourneyAddress } from "./JourneyScreen";
import { Legend } from "./Legend";
import { NodeSource, type LoadedJourney } from "./load";
import { buildMarks } from "./marks";
import type { JourneyModel } from "./model";
import { Overview } from "./Overview";
import { keyOfRow, rowOfKey } from "./rowKey";
import type { LogMode } from "./rows";
import { Stage } from "./stage";
import { Toolbar } from "./Toolbar";
import { useFold } from "./useFold";
import type { JourneyState } from "./useJourney";
import { Waterfall } from "./Waterfall";

interface JourneyViewProps {
  loaded: LoadedJourney;
  state: JourneyState;
  address: JourneyAddress;
  zone: Zone;
}

export function JourneyView({ loaded, state, address, zone }: JourneyViewProps) {
  const { head, model } = loaded;
  const { params, change } = address;
  const stage = useStage(model);
  const source = useNodeSource(address, model);
  const navigate = useNavigate();
  const logMode: LogMode = params.logs === "errors" || params.logs === "none" ? params.logs : "all";
  const fold = useFold(model, logMode);
  const [text, setText] = useState("");
  const [focus, setFocus] = useState<string | null>(null);
  const selected = useMemo(() => (params.sel ? rowOfKey(model, params.sel) : null), [model, params.sel]);
  const found = useMemo(() => findRows(model, text), [model, text]);
  const foundSet = useMemo(() => new Set(found), [found]);
  const errors = useMemo(() => errorRows(model), [model]);
  const marks = useMemo(() => buildMarks(head, model), [head, model]);

  const select = useCallback((row: number) => change({ sel: keyOfRow(model, row) }), [change, model]);
  const jump = (rows: readonly number[], step: 1 | -1) => {
    const row = stepThrough(model, rows, selected, step);
    if (row !== null) show(row);
  };
  const show = (row: number) => {
    if (row < 0 && logMode !== "all") change({ logs: "", sel: keyOfRow(model, row) });
    else select(row);
    fold.reveal(row);
    showTime(stage, model, row);
  };
  const onJump = useLatest(show);
  useJourneyKeys({ model, stage, selected, select, rows: fold.rows, step: fold.step, jump, found, errors, gaps: marks.gapRows, close: () => (params.sel ? change({ sel: "" }) : void navigate({ to: "/", search: lastSearch() })) });

  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <Header head={head} model={model} loading={state.loading} finished={loaded.finished} reload={state.reload} zone={zone} />
      {state.error && (
        <div className="px-4 pb-2">
          <Notice tone="error">Loading stopped: {state.error.message} What came before is shown.</Notice>
        </div>
      )}
      <Legend services={head.services} clock={head.clock ?? []} corrected={params.corrected === "true"} focus={focus} onFocus={setFocus} roots={marks.groups.get(-1) ?? []} onJump={onJump} />
      <Toolbar
        text={text}
        onText={setText}
        matchAt={selected === null ? 0 : found.indexOf(selected) + 1}
        matchCount={found.length}
        errorCount={errors.length}
        onStep={(step) => jump(found, step)}
        onError={(step) => jump(errors, step)}
        gapCount={marks.gapCount}
        onGap={() => jump(marks.gapRows, 1)}
        outlined={model.nodes === null}
        logMode={logMode}
        onLogMode={(mode) => change({ logs: mode === "all" ? "" : mode })}
        inferred={params.inferred !== "false"}
        onInferred={(on) => change({ inferred: on ? "" : "false" })}
        corrected={params.corrected === "true"}
        onCorrected={(on) => change({ corrected: on ? "true" : "" })}
        copy={copyChoices(address)}
      />
      <div className="flex min-h-0 flex-1 flex-col sm:flex-row">
        <div className="flex min-h-0 min-w-0 flex-1 flex-col bg-surface">
          <Overview model={model} stage={stage} />
          {loaded.finished && model.count === 0 && (
            <p className="p-6 text-muted">
              No span carries this id.{params.inferred === "false" ? " Its logs are placed by inference, which is switched off." : ""}
            </p>
          )}
          <Waterfall
            model={model}
            rows={fold.rows}
            collapsed={fold.collapsed}
            logMode={logMode}
            stage={stage}
            selected={selected}
            found={foundSet}
            focusService={focus}
            marks={marks}
            onSelect={select}
            onToggle={fold.toggle}
            onJump={onJump}
          />
        </div>
        {selected !== null && (
          <Detail
            model={model}
            marks={marks}
            source={source}
            row={selected}
            zone={zone}
            onClose={() => change({ sel: "" })}
            onSelect={(row) => {
              fold.reveal(row);
              select(row);
            }}
            onJump={onJump}
            onFilter={(added) => void navigate({ to: "/", search: { q: added } })}
          />
        )}
      </div>
    </div>
  );
}

/** A function that stays the same and does what the latest one does: rows need not be drawn anew for it. */
function useLatest(act: (row: number) => void): (row: number) => void {
  const latest = useRef(act);
  latest.current = act;
  return useCallback((row: number) => latest.current(row), []);
}

/** Where the records of a large journey come from; a journey loaded anew is asked anew. */
function useNodeSource({ id, params }: JourneyAddress, model: JourneyModel): NodeSource {
  const inferred = params.inferred !== "false";
  const corrected = params.corrected === "true";
  // oxlint-disable-next-line react/exhaustive-deps
  return useMemo(() => new NodeSource({ id, inferred, corrected }), [id, inferred, corrected, model]);
}

/** One stage per journey; it follows the data and the theme. */
function useStage(model: JourneyModel): Stage {
  const stage = useRef<Stage | null>(null);
  stage.current ??= new Stage();
  const current = stage.current;
  useLayoutEffect(() => current.view.setBounds(model.from, model.until), [current, model]);
  useEffect(() => onThemeChange(() => current.recolor()), [current]);
  return current;
}

/** Moves the view when the row's bar lies outside of it. */
function showTime(stage: Stage, model: JourneyModel, row: number): void {
  const begin = row >= 0 ? (model.start[row] ?? 0) : (model.logTime[~row] ?? 0);
  const { view } = stage;
  if (begin >= view.from && begin <= view.until) return;
  const width = view.until - view.from;
  view.set(begin - width * 0.3, begin + width * 0.7);
}

interface JourneyKeys {
  model: JourneyModel;
  stage: Stage;
  selected: number | null;
  select: (row: number) => void;
  rows: Int32Array;
  step: (direction: "collapse" | "expand") => void;
  jump: (rows: readonly number[], step: 1 | -1) => void;
  found: readonly number[];
  errors: readonly number[];
  gaps: readonly number[];
  close: () => void;
}

function useJourneyKeys(k: JourneyKeys): void {
  const { view } = k.stage;
  const move = (by: 1 | -1) => {
    const at = k.selected === null ? -1 : k.rows.indexOf(k.selected);
    const row = k.rows[Math.min(k.rows.length - 1, Math.max(0, at + by))];
    if (row !== undefined) k.select(row);
  };
  useHotkeys({
    e: () => k.jump(k.errors, 1),
    E: () => k.jump(k.errors, -1),
    g: () => k.jump(k.gaps, 1),
    n: () => k.jump(k.found, 1),
    p: () => k.jump(k.found, -1),
    j: () => move(1),
    k: () => move(-1),
    "[": () => k.step("collapse"),
    "]": () => k.step("expand"),
    w: () => view.zoom(0.6),
    s: () => view.zoom(1 / 0.6),
    a: () => view.pan(-0.2),
    d: () => view.pan(0.2),
    "0": () => view.reset(),
    f: () => {
      if (k.selected === null) return;
      const node = k.selected >= 0 ? k.selected : (k.model.logNode[~k.selected] ?? 0);
      const begin = k.model.start[node] ?? 0;
      const end = Math.max(k.model.subtreeUntil[node] ?? begin, begin + 1_000);
      view.set(begin - (end - begin) * 0.05, end + (end - begin) * 0.1);
    },
    Escape: k.close,
  });
}

function copyChoices({ id, params }: JourneyAddress): CopyChoice[] {
  const flags = `${params.inferred === "false" ? " --no-inferred" : ""}${params.logs ? ` --logs=${params.logs}` : ""}`;
  return [
    { label: "Link", text: location.href },
    { label: "Id", text: id },
    { label: "Command line", text: `needle trace ${shellQuote(id)}${flags}` },
    { label: "curl", text: `curl -s ${shellQuote(journeyAddress(id))}` },
  ];
}
