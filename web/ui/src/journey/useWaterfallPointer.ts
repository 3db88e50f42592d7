// Zooming and panning with the mouse: Ctrl or pinch zooms, sideways pans, dragging on the scale chooses a range.

import { useEffect, type RefObject } from "react";
import type { Stage } from "./stage";

export function useWaterfallPointer(scroller: RefObject<HTMLElement | null>, ruler: RefObject<HTMLElement | null>, stage: Stage): void {
  useEffect(() => {
    const rows = scroller.current;
    const scale = ruler.current;
    if (!rows || !scale) return;
    const xOf = (event: MouseEvent) => event.clientX - scale.getBoundingClientRect().left;

    const wheel = (event: WheelEvent) => {
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        stage.view.zoom(Math.exp(event.deltaY * 0.004), stage.timeAt(Math.max(0, xOf(event))));
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        stage.view.pan((event.deltaX || event.deltaY) / Math.max(1, stage.width));
      }
    };
    let anchor: number | null = null;
    const down = (event: PointerEvent) => {
      anchor = xOf(event);
      scale.setPointerCapture(event.pointerId);
    };
    const up = (event: PointerEvent) => {
      const from = anchor;
      anchor = null;
      if (from === null || Math.abs(xOf(event) - from) < 5) return;
      const times = [stage.timeAt(from), stage.timeAt(xOf(event))] as const;
      stage.view.set(Math.min(...times), Math.max(...times));
    };
    const whole = () => stage.view.reset();

    rows.addEventListener("wheel", wheel, { passive: false });
    scale.addEventListener("wheel", wheel, { passive: false });
    scale.addEventListener("pointerdown", down);
    scale.addEventListener("pointerup", up);
    scale.addEventListener("dblclick", whole);
    return () => {
      rows.removeEventListener("wheel", wheel);
      scale.removeEventListener("wheel", wheel);
      scale.removeEventListener("pointerdown", down);
      scale.removeEventListener("pointerup", up);
      scale.removeEventListener("dblclick", whole);
    };
  }, [scroller, ruler, stage]);
}
