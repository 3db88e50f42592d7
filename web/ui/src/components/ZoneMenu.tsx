import { useState } from "react";
import { browserZone, isZone, zoneName } from "../time/instant";
import { useSetZone, useZone } from "../time/useZone";
import { Menu } from "./Menu";

export function ZoneMenu() {
  const zone = useZone();
  const setZone = useSetZone();
  const [typed, setTyped] = useState("");
  return (
    <Menu
      label="Time zone"
      align="right"
      className="rounded-md px-2 py-1 text-sm text-muted hover:bg-hover hover:text-text"
      button={<><span className="visually-hidden">Time zone: </span><span className="block max-w-28 truncate sm:max-w-none">{zoneName(zone)}</span></>}
    >
      {(close) => (
        <div className="w-64 p-1">
          <Choice label={`Browser: ${browserZone()}`} current={zone === "local"} pick={() => { setZone("local"); close(); }} />
          <Choice label="UTC" current={zone === "UTC"} pick={() => { setZone("UTC"); close(); }} />
          <form
            className="flex gap-1 p-1"
            onSubmit={(event) => {
              event.preventDefault();
              if (!isZone(typed.trim())) return;
              setZone(typed.trim());
              close();
            }}
          >
            <input
              className="field min-w-0 flex-1"
              aria-label="Other time zone"
              placeholder="Europe/Berlin"
              list="zones"
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
            />
            <datalist id="zones">
              {Intl.supportedValuesOf("timeZone").map((name) => (
                <option key={name} value={name} />
              ))}
            </datalist>
            <button type="submit" className="button" disabled={!isZone(typed.trim())}>Set</button>
          </form>
        </div>
      )}
    </Menu>
  );
}

function Choice({ label, current, pick }: { label: string; current: boolean; pick: () => void }) {
  return (
    <button type="button" className="menu-item" aria-current={current} onClick={pick}>
      {label}
    </button>
  );
}
