// Paints one row: a span's bar with its log ticks, or the moment of a log.

import { serviceSlot } from "../services/color";
import { formatDuration } from "../time/duration";
import { FLAG_CRITICAL, FLAG_ERROR, FLAG_INFERRED, FLAG_MISSING, LEVEL_ERROR, LEVEL_WARN, type JourneyModel } from "./model";
import type { Gap } from "./marks";
import { prepareCanvas, type Stage } from "./stage";

export interface RowLook {
  collapsed: boolean;
  dimmed: boolean;
  /** On a narrow screen the bar lies behind the text. */
  behind: boolean;
  /** Where its span recorded nothing. */
  gaps: readonly Gap[];
}

const BAR_HEIGHT = 10;

export function paintRow(
  canvas: HTMLCanvasElement,
  stage: Stage,
  model: JourneyModel,
  row: number,
  height: number,
  look: RowLook,
): void {
  const context = prepareCanvas(canvas, stage.width, height);
  if (!context) return;
  if (!look.behind) paintGrid(context, stage, height);
  context.globalAlpha = look.dimmed ? 0.22 : 1;
  if (row < 0) paintLog(context, stage, model, ~row, height, look);
  else paintNode(context, stage, model, row, height, look);
}

function paintGrid(context: CanvasRenderingContext2D, stage: Stage, height: number): void {
  context.fillStyle = stage.palette.line;
  for (const time of stage.ticks()) context.fillRect(Math.round(stage.x(time)), 0, 1, height);
}

function colorOf(stage: Stage, model: JourneyModel, node: number): string {
  const name = model.serviceNames[model.service[node] ?? 0] ?? "";
  return name === "" ? stage.palette.faint : (stage.palette.services[serviceSlot(name)] ?? stage.palette.accent);
}

function paintNode(
  context: CanvasRenderingContext2D,
  stage: Stage,
  model: JourneyModel,
  node: number,
  height: number,
  look: RowLook,
): void {
  const flags = model.flags[node] ?? 0;
  const begin = model.start[node] ?? 0;
  const duration = Math.max(0, model.duration[node] ?? 0);
  const left = clampPixel(stage.x(begin), stage.width);
  const right = clampPixel(stage.x(begin + duration), stage.width);
  const width = Math.max(flags & FLAG_ERROR ? 2 : 1, right - left);
  const barHeight = look.behind ? 4 : BAR_HEIGHT;
  const top = look.behind ? height - 6 : Math.round((height - barHeight) / 2);
  const color = colorOf(stage, model, node);

  const until = look.collapsed ? (model.subtreeUntil[node] ?? 0) : begin + duration;
  if (stage.x(until) < 0 || left > stage.width) {
    paintElsewhere(context, stage, left > stage.width, height);
    return;
  }
  if (look.collapsed) paintHiddenPart(context, stage, model, node, top + barHeight / 2, color);
  context.fillStyle = color;
  context.strokeStyle = color;
  if (flags & (FLAG_INFERRED | FLAG_MISSING)) paintDashed(context, left, top, width, barHeight);
  else paintSolid(context, left, top, width, barHeight);
  for (const gap of look.gaps) paintGap(context, stage, gap, top, barHeight, color);
  if (flags & FLAG_ERROR) paintErrorEnd(context, stage, left, top, width, barHeight);
  if (flags & FLAG_CRITICAL) {
    context.fillStyle = stage.palette.thread;
    context.fillRect(left, top + barHeight + 2, width, 2);
  }
  paintTicks(context, stage, model, node, top, barHeight);
  const reach = look.collapsed ? Math.max(left + width, clampPixel(stage.x(model.subtreeUntil[node] ?? 0), stage.width)) : left + width;
  if (!look.behind) paintLabel(context, stage, formatDuration(model.duration[node] ?? 0), flags, left, reach, height);
}

/** The bar lies outside of what is shown: an arrow says where. */
function paintElsewhere(context: CanvasRenderingContext2D, stage: Stage, toTheRight: boolean, height: number): void {
  const tip = toTheRight ? stage.width - 4 : 4;
  const back = toTheRight ? tip - 5 : tip + 5;
  context.fillStyle = stage.palette.faint;
  context.beginPath();
  context.moveTo(tip, height / 2);
  context.lineTo(back, height / 2 - 4);
  context.lineTo(back, height / 2 + 4);
  context.fill();
}

/** Far outside the picture all pixels are alike; canvases do not like millions. */
function clampPixel(x: number, width: number): number {
  return Math.min(Math.max(x, -50), width + 50);
}

function paintSolid(context: CanvasRenderingContext2D, left: number, top: number, width: number, height: number): void {
  context.beginPath();
  context.roundRect(left, top, width, height, Math.min(2.5, width / 2));
  context.fill();
}

/** Not measured but inferred: only an outline. */
function paintDashed(context: CanvasRenderingContext2D, left: number, top: number, width: number, height: number): void {
  const alpha = context.globalAlpha;
  context.globalAlpha = alpha * 0.16;
  context.fillRect(left, top, width, height);
  context.globalAlpha = alpha;
  context.lineWidth = 1.25;
  context.setLineDash([3, 2.5]);
  context.strokeRect(left + 0.5, top + 0.5, Math.max(2, width - 1), height - 1);
  context.setLineDash([]);
}

/** Red end with a stripe pattern, so that it does not rest on the colour. */
function paintErrorEnd(
  context: CanvasRenderingContext2D,
  stage: Stage,
  left: number,
  top: number,
  width: number,
  height: number,
): void {
  const errorWidth = Math.min(width, 14);
  const from = left + width - errorWidth;
  context.save();
  context.beginPath();
  context.roundRect(from, top, errorWidth, height, [0, 2.5, 2.5, 0]);
  context.clip();
  context.fillStyle = stage.palette.error;
  context.fillRect(from, top, errorWidth, height);
  context.strokeStyle = stage.palette.surface;
  context.lineWidth = 1.2;
  for (let x = from - height; x < from + errorWidth; x += 4) {
    context.beginPath();
    context.moveTo(x, top + height);
    context.lineTo(x + height, top);
    context.stroke();
  }
  context.restore();
}

/** The span goes on, but nobody knows with what: its bar is hollow there. */
function paintGap(context: CanvasRenderingContext2D, stage: Stage, gap: Gap, top: number, height: number, color: string): void {
  const left = clampPixel(stage.x(gap.from), stage.width);
  const width = clampPixel(stage.x(gap.until), stage.width) - left;
  if (width < 3) return;
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.fillStyle = stage.palette.surface;
  context.fillRect(left, top + 1, width, height - 2);
  context.strokeStyle = color;
  context.lineWidth = 1;
  context.beginPath();
  for (let x = left - height; x < left + width; x += 6) {
    context.moveTo(x, top + height);
    context.lineTo(x + height, top);
  }
  context.stroke();
  context.restore();
}

/** A folded node shows how far its subtree reaches. */
function paintHiddenPart(
  context: CanvasRenderingContext2D,
  stage: Stage,
  model: JourneyModel,
  node: number,
  middle: number,
  color: string,
): void {
  const left = clampPixel(stage.x(model.start[node] ?? 0), stage.width);
  const right = clampPixel(stage.x(model.subtreeUntil[node] ?? 0), stage.width);
  const alpha = context.globalAlpha;
  context.globalAlpha = alpha * 0.45;
  context.fillStyle = color;
  context.fillRect(left, middle - 1, Math.max(1, right - left), 2);
  context.globalAlpha = alpha;
}

function paintTicks(
  context: CanvasRenderingContext2D,
  stage: Stage,
  model: JourneyModel,
  node: number,
  top: number,
  barHeight: number,
): void {
  const last = model.logFirst[node + 1] ?? 0;
  let painted = -Infinity;
  for (let log = model.logFirst[node] ?? 0; log < last; log += 1) {
    const x = Math.round(stage.x(model.logTime[log] ?? 0));
    if (x < 0 || x > stage.width) continue;
    const level = model.logLevel[log] ?? 0;
    // Ticks on one pixel are one tick, unless a worse one comes.
    if (x === painted && level < LEVEL_WARN) continue;
    painted = x;
    context.fillStyle = stage.palette.surface;
    context.fillRect(x - 1.5, top - 3, 3, barHeight + 6);
    context.fillStyle = level >= LEVEL_ERROR ? stage.palette.error : level >= LEVEL_WARN ? stage.palette.warn : stage.palette.muted;
    context.fillRect(x - 0.5, top - 3, level >= LEVEL_WARN ? 2 : 1, barHeight + 6);
  }
}

function paintLabel(
  context: CanvasRenderingContext2D,
  stage: Stage,
  text: string,
  flags: number,
  left: number,
  right: number,
  height: number,
): void {
  const label = flags & FLAG_MISSING ? "" : `${flags & FLAG_INFERRED ? "~" : ""}${text}${flags & FLAG_ERROR ? "  ✗" : ""}`;
  if (label === "" || right < 0 || left > stage.width) return;
  context.font = `11px ${stage.palette.font}`;
  context.textBaseline = "middle";
  const width = context.measureText(label).width;
  context.fillStyle = flags & FLAG_ERROR ? stage.palette.error : stage.palette.muted;
  if (right + 6 + width <= stage.width) context.fillText(label, right + 6, height / 2 + 0.5);
  else if (left - 6 - width >= 0) context.fillText(label, left - 6 - width, height / 2 + 0.5);
  else paintLabelInside(context, stage, label, width, height);
}

function paintLabelInside(
  context: CanvasRenderingContext2D,
  stage: Stage,
  label: string,
  width: number,
  height: number,
): void {
  const left = stage.width - width - 12;
  context.fillStyle = stage.palette.surface;
  context.beginPath();
  context.roundRect(left - 5, height / 2 - 8, width + 10, 16, 4);
  context.fill();
  context.fillStyle = stage.palette.text;
  context.fillText(label, left, height / 2 + 0.5);
}

function paintLog(
  context: CanvasRenderingContext2D,
  stage: Stage,
  model: JourneyModel,
  log: number,
  height: number,
  look: RowLook,
): void {
  const x = Math.round(stage.x(model.logTime[log] ?? 0));
  const level = model.logLevel[log] ?? 0;
  const node = model.logNode[log] ?? 0;
  const left = clampPixel(stage.x(model.start[node] ?? 0), stage.width);
  const right = clampPixel(stage.x((model.start[node] ?? 0) + Math.max(0, model.duration[node] ?? 0)), stage.width);
  const middle = look.behind ? height - 6 : Math.round(height / 2);
  // The thread: the span that the log was said in.
  context.strokeStyle = stage.palette.lineStrong;
  context.lineWidth = 1;
  context.setLineDash([2, 3]);
  context.beginPath();
  context.moveTo(left, middle + 0.5);
  context.lineTo(right, middle + 0.5);
  context.stroke();
  context.setLineDash([]);
  if (x < 0 || x > stage.width) return;
  context.fillStyle = level >= LEVEL_ERROR ? stage.palette.error : level >= LEVEL_WARN ? stage.palette.warn : stage.palette.muted;
  context.beginPath();
  if (level >= LEVEL_ERROR) {
    // A diamond for errors: shape, not only colour.
    context.moveTo(x, middle - 5);
    context.lineTo(x + 5, middle);
    context.lineTo(x, middle + 5);
    context.lineTo(x - 5, middle);
  } else {
    context.arc(x, middle, level >= LEVEL_WARN ? 3.5 : 2.75, 0, 2 * Math.PI);
  }
  context.fill();
}
