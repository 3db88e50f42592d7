// The whole journey in a strip: every span as a line. The part on show is framed; drag to choose another.

import { useLayoutEffect, useRef } from "react";
import { serviceSlot } from "../services/color";
import { FLAG_ERROR, FLAG_INFERRED, LEVEL_ERROR, type JourneyModel } from "./model";
import { prepareCanvas, type Stage } from "./stage";

const HEIGHT = 48;
const PADDING = 4;

export function Overview({ model, stage }: { model: JourneyModel; stage: Stage }) {
  const root = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const painted = useRef<unknown[]>([]);

  useLayoutEffect(
    () =>
      stage.register(() => {
        const width = root.current?.clientWidth ?? 0;
        if (!canvas.current || !frame.current || width === 0) return;
        // The strip changes with the data, the width and the theme; the frame with every zoom.
        const now = [model, width, stage.palette, window.devicePixelRatio, stage.view.limits];
        if (now.some((value, i) => value !== painted.current[i])) {
          painted.current = now;
          paintOverview(canvas.current, model, stage, width);
        }
        placeFrame(frame.current, stage, width);
      }),
    [stage, model],
  );
  useOverviewPointer(root, stage);

  return (
    <div ref={root} className="relative h-12 shrink-0 max-sm:hidden cursor-crosshair touch-none overflow-hidden border-b border-line bg-sunken select-none" aria-hidden="true" title="Drag to zoom, double-click for everything">
      <canvas ref={canvas} className="absolute inset-0" />
      <div ref={frame} className="pointer-events-none absolute inset-y-0 border-x-2 border-accent bg-accent/10" />
    </div>
  );
}

function scale(stage: Stage, width: number) {
  const { from, until } = stage.view.limits;
  return (time: number) => PADDING + ((time - from) / (until - from)) * (width - 2 * PADDING);
}

function placeFrame(frame: HTMLElement, stage: Stage, width: number): void {
  const x = scale(stage, width);
  frame.hidden = stage.view.isWhole;
  frame.style.left = `${x(stage.view.from)}px`;
  frame.style.width = `${Math.max(4, x(stage.view.until) - x(stage.view.from))}px`;
}

function paintOverview(canvas: HTMLCanvasElement, model: JourneyModel, stage: Stage, width: number): void {
  const context = prepareCanvas(canvas, width, HEIGHT);
  const count = model.count;
  if (!context || count === 0) return;
  const x = scale(stage, width);
  const rowHeight = (HEIGHT - 10) / count;
  const thickness = Math.max(1, Math.min(4, rowHeight - 0.5));
  const colors = model.serviceNames.map((name) => (name ? (stage.palette.services[serviceSlot(name)] ?? "") : stage.palette.lineStrong));
  for (let node = 0; node < count; node += 1) {
    const left = x(model.start[node] ?? 0);
    context.globalAlpha = (model.flags[node] ?? 0) & FLAG_INFERRED ? 0.5 : 0.9;
    context.fillStyle = colors[model.service[node] ?? 0] ?? "";
    context.fillRect(left, 5 + node * rowHeight, Math.max(1, x((model.start[node] ?? 0) + Math.max(0, model.duration[node] ?? 0)) - left), thickness);
  }
  context.globalAlpha = 1;
  context.fillStyle = stage.palette.error;
  for (let node = 0; node < count; node += 1) {
    if (!((model.flags[node] ?? 0) & FLAG_ERROR)) continue;
    const end = x((model.start[node] ?? 0) + Math.max(0, model.duration[node] ?? 0));
    context.fillRect(end - 2, 5 + node * rowHeight - 1, 3, Math.max(3, thickness + 2));
  }
  for (let log = 0; log < model.logs.length; log += 1) {
    if ((model.logLevel[log] ?? 0) < LEVEL_ERROR) continue;
    context.fillRect(x(model.logTime[log] ?? 0) - 0.5, HEIGHT - 5, 2, 5);
  }
}

function useOverviewPointer(root: React.RefObject<HTMLDivElement | null>, stage: Stage): void {
  useLayoutEffect(() => {
    const element = root.current;
    if (!element) return;
    const timeAt = (event: PointerEvent) => {
      const box = element.getBoundingClientRect();
      const { from, until } = stage.view.limits;
      return from + ((event.clientX - box.left - PADDING) / (box.width - 2 * PADDING)) * (until - from);
    };
    let anchor: number | null = null;
    const down = (event: PointerEvent) => {
      anchor = timeAt(event);
      element.setPointerCapture(event.pointerId);
    };
    const move = (event: PointerEvent) => {
      if (anchor === null) return;
      const time = timeAt(event);
      const whole = stage.view.limits.until - stage.view.limits.from;
      if (Math.abs(time - anchor) > whole * 0.004) stage.view.set(Math.min(anchor, time), Math.max(anchor, time));
    };
    const up = () => {
      anchor = null;
    };
    const whole = () => stage.view.reset();
    element.addEventListener("pointerdown", down);
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", up);
    element.addEventListener("dblclick", whole);
    return () => {
      element.removeEventListener("pointerdown", down);
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerup", up);
      element.removeEventListener("dblclick", whole);
    };
  }, [root, stage]);
}
