// The scale above the bars; drag on it to look closer, double-click for everything.

import { useLayoutEffect, useRef } from "react";
import { formatDuration } from "../time/duration";
import { prepareCanvas, type Stage } from "./stage";

const HEIGHT = 27;

export function TimeRuler({ stage }: { stage: Stage }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(
    () =>
      stage.register(() => {
        if (canvas.current) paintRuler(canvas.current, stage);
      }),
    [stage],
  );
  return <canvas ref={canvas} aria-hidden="true" className="absolute inset-0 cursor-col-resize touch-none" />;
}

function paintRuler(canvas: HTMLCanvasElement, stage: Stage): void {
  const context = prepareCanvas(canvas, stage.width, HEIGHT);
  if (!context) return;
  context.font = `11px ${stage.palette.font}`;
  context.textBaseline = "middle";
  for (const time of stage.ticks()) {
    const x = Math.round(stage.x(time)) + 0.5;
    context.strokeStyle = stage.palette.lineStrong;
    context.beginPath();
    context.moveTo(x, HEIGHT - 6);
    context.lineTo(x, HEIGHT);
    context.stroke();
    const label = formatDuration(time);
    const width = context.measureText(label).width;
    context.fillStyle = stage.palette.faint;
    context.fillText(label, Math.min(Math.max(2, x - width / 2), stage.width - width - 2), HEIGHT / 2 - 1);
  }
}
