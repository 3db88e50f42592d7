// A button with something that opens below it; closes by Escape, by a click elsewhere, or by losing the focus.

import { useCallback, useEffect, useId, useRef, useState, type ReactNode, type RefObject } from "react";
import { useHotkeys } from "../keys/hotkeys";

interface MenuProps {
  label: string;
  button: ReactNode;
  children: (close: () => void) => ReactNode;
  align?: "left" | "right";
  className?: string;
}

export function Menu({ label, button, children, align = "left", className = "button" }: MenuProps) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const id = useId();
  const dismiss = useCallback(() => setOpen(false), []);
  const close = () => {
    setOpen(false);
    opener.current?.focus();
  };

  return (
    <div ref={root} className="relative">
      <button
        ref={opener}
        type="button"
        className={className}
        aria-haspopup="dialog"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        title={label}
        onClick={() => setOpen(!open)}
      >
        {button}
      </button>
      {open && (
        <Panel id={id} label={label} align={align} root={root} close={close} dismiss={dismiss}>
          {children(close)}
        </Panel>
      )}
    </div>
  );
}

interface PanelProps {
  id: string;
  label: string;
  align: "left" | "right";
  root: RefObject<HTMLDivElement | null>;
  close: () => void;
  dismiss: () => void;
  children: ReactNode;
}

/** Mounted while open, so that its keys come before those of the page. */
function Panel({ id, label, align, root, close, dismiss, children }: PanelProps) {
  useHotkeys({ Escape: close, ArrowDown: () => moveFocus(root.current, 1), ArrowUp: () => moveFocus(root.current, -1) });
  useEffect(() => {
    const outside = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) dismiss();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
    };
  }, [root, dismiss]);
  return (
    <div id={id} role="dialog" aria-label={label} className={`pop absolute top-full z-50 mt-1 ${align === "right" ? "right-0" : "left-0"}`}>
      {children}
    </div>
  );
}

function moveFocus(root: HTMLElement | null, step: 1 | -1): void {
  const items = [...(root?.querySelectorAll<HTMLElement>("[role=dialog] .menu-item") ?? [])];
  const at = items.indexOf(document.activeElement as HTMLElement);
  items[(at + step + items.length) % items.length]?.focus();
}
