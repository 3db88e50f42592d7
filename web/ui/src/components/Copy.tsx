// Copying: a small button beside a value, and the menu "Copy as".

import { useState } from "react";
import { Icon } from "./Icon";
import { Menu } from "./Menu";

async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** Where the clipboard is not offered (plain http on another host) the old way still works. */
function copyBySelection(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  return copied;
}

function useCopied(): [string | null, (text: string) => void] {
  const [done, setDone] = useState<string | null>(null);
  const copy = (text: string) => {
    void copyText(text).then((copied) => {
      setDone(copied ? text : null);
      setTimeout(() => setDone(null), 1_400);
    });
  };
  return [done, copy];
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [done, copy] = useCopied();
  return (
    <button
      type="button"
      className={`icon-button size-6 ${done === null ? "" : "text-ok"}`}
      aria-label={done === null ? label : "Copied"}
      title={label}
      onClick={(event) => {
        event.stopPropagation();
        copy(text);
      }}
    >
      <Icon name={done === null ? "copy" : "check"} size={13} />
    </button>
  );
}

export interface CopyChoice {
  label: string;
  text: string;
}

export function CopyMenu({ choices }: { choices: readonly CopyChoice[] }) {
  const [done, copy] = useCopied();
  return (
    <Menu label="Copy as" button={<><Icon name={done === null ? "copy" : "check"} />{done === null ? "Copy as" : "Copied"}</>} align="right">
      {(close) => (
        <div className="w-[min(440px,calc(100vw-32px))] p-1">
          {choices.map((choice) => (
            <button
              key={choice.label}
              type="button"
              className="menu-item flex-col items-start gap-0"
              onClick={() => {
                copy(choice.text);
                close();
              }}
            >
              <span className="font-medium">{choice.label}</span>
              <span className="w-full truncate font-mono text-xs text-faint">{choice.text}</span>
            </button>
          ))}
        </div>
      )}
    </Menu>
  );
}
