// What all bars share: the view, the colours, the width. Rows register how they are painted.

import { niceStep } from "../time/duration";
import { readPalette, type Palette } from "./palette";
import { ViewRange } from "./view";

export class Stage {
  readonly view = new ViewRange();
  palette: Palette = readPalette();
  /** CSS pixels of the column with the bars. */
  width = 0;
  /** Whether durations are written beside the bars. */
  labels = true;
  private readonly painters = new Set<() => void>();

  constructor() {
    this.view.subscribe(() => this.paintAll());
  }

  register(paint: () => void): () => void {
    this.painters.add(paint);
    paint();
    return () => this.painters.delete(paint);
  }

  setWidth(width: number, labels: boolean): void {
    if (width === this.width && labels === this.labels) return;
    this.width = width;
    this.labels = labels;
    this.view.changed();
  }

  recolor(): void {
    this.palette = readPalette();
    this.view.changed();
  }

  /** Pixel of a time (nanoseconds after the journey's origin). */
  x(time: number): number {
    return ((time - this.view.from) / (this.view.until - this.view.from)) * this.drawable + MARGIN_LEFT;
  }

  timeAt(x: number): number {
    return this.view.from + ((x - MARGIN_LEFT) / this.drawable) * (this.view.until - this.view.from);
  }

  /** Times of the vertical lines. */
  ticks(): number[] {
    const { from, until } = this.view;
    const step = niceStep(until - from, this.width / PIXELS_PER_TICK);
    const ticks: number[] = [];
    for (let n = Math.ceil(from / step); n * step <= until; n += 1) ticks.push(n * step);
    return ticks;
  }

  private get drawable(): number {
    return Math.max(1, this.width - MARGIN_LEFT - (this.labels ? MARGIN_LABEL : MARGIN_LEFT));
  }

  private paintAll(): void {
    for (const paint of this.painters) paint();
  }
}

/** Free pixels, so that nothing sticks to the edge; on the right there is room for the duration of the longest bar. */
const MARGIN_LEFT = 10;
const MARGIN_LABEL = 72;
const PIXELS_PER_TICK = 110;

/** Prepares a canvas for the screen's resolution; null when there is nothing to paint on. */
export function prepareCanvas(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D | null {
  if (width <= 0 || height <= 0) return null;
  const ratio = window.devicePixelRatio || 1;
  const pixelWidth = Math.round(width * ratio);
  const pixelHeight = Math.round(height * ratio);
  if (canvas.width !== pixelWidth || canvas.height !== pixelHeight) {
    canvas.width = pixelWidth;
    canvas.height = pixelHeight;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  context?.clearRect(0, 0, width, height);
  return context;
}
