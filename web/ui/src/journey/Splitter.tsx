// The line between text and bars; drag it, or use the arrow keys on it.

import { useLayoutEffect, type RefObject } from "react";

const STORAGE_KEY = "needle.split";
const MIN_PX = 180;
const STEP_PX = 24;

export function Splitter({ root }: { root: RefObject<HTMLElement | null> }) {
  const set = (pixels: number) => {
    const element = root.current;
    if (!element) return;
    const split = Math.round(Math.min(Math.max(MIN_PX, pixels), element.clientWidth - MIN_PX));
    element.style.setProperty("--split", `${split}px`);
    try {
      localStorage.setItem(STORAGE_KEY, String(split));
    } catch {
      // The width holds for this page.
    }
  };
  useLayoutEffect(() => {
    const element = root.current;
    let stored = 0;
    try {
      stored = Number(localStorage.getItem(STORAGE_KEY) ?? 0);
    } catch {
      // As designed, then.
    }
    if (element && stored >= MIN_PX && stored < element.clientWidth - MIN_PX) element.style.setProperty("--split", `${stored}px`);
  }, [root]);
  const current = () => {
    const element = root.current?.querySelector<HTMLElement>("[data-split]");
    return element?.offsetWidth ?? 0;
  };

  return (
    // A separator that can be moved takes the focus (WAI-ARIA window splitter).
    // oxlint-disable jsx-a11y/no-noninteractive-element-interactions, jsx-a11y/no-noninteractive-tabindex
    <div
      role="separator"
      aria-valuenow={50}
      aria-orientation="vertical"
      aria-label="Width of the names"
      tabIndex={0}
      className="absolute inset-y-0 left-[calc(var(--split)-4px)] z-10 hidden w-2 cursor-col-resize hover:bg-accent/30 sm:block"
      onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove={(event) => {
        if (event.currentTarget.hasPointerCapture(event.pointerId) && root.current) {
          set(event.clientX - root.current.getBoundingClientRect().left);
        }
      }}
      onKeyDown={(event) => {
        if (event.key === "ArrowLeft") set(current() - STEP_PX);
        if (event.key === "ArrowRight") set(current() + STEP_PX);
      }}
    />
  );
}
