// Keyboard: single keys outside of text fields. The handler bound last comes first (a dialog over a screen).

import { useEffect, useRef } from "react";

export type Bindings = Record<string, (event: KeyboardEvent) => void | false>;

const stack: { bindings: Bindings }[] = [];

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

function onKeyDown(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event.target) && event.key !== "Escape") return;
  // A focused button or link keeps its own Enter and Space.
  const onControl = event.target instanceof HTMLElement && event.target.closest("button, a, summary") !== null;
  if (onControl && (event.key === "Enter" || event.key === " ")) return;
  for (const entry of stack.toReversed()) {
    const handler = entry.bindings[event.key];
    // A handler that answers false lets the key pass on.
    if (handler && handler(event) !== false) {
      event.preventDefault();
      return;
    }
  }
}

export function useHotkeys(bindings: Bindings): void {
  const entry = useRef({ bindings });
  useEffect(() => {
    entry.current.bindings = bindings;
  });
  useEffect(() => {
    const own = entry.current;
    if (stack.length === 0) window.addEventListener("keydown", onKeyDown);
    stack.push(own);
    return () => {
      stack.splice(stack.indexOf(own), 1);
      if (stack.length === 0) window.removeEventListener("keydown", onKeyDown);
    };
  }, []);
}
