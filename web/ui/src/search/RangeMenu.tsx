// The time range: presets, or two points in time as a person writes them.

import { useState } from "react";
import { Icon } from "../components/Icon";
import { Menu } from "../components/Menu";
import { clockAt, instantOfMillis, zoneName, type Zone } from "../time/instant";
import { describeRange, parseTime, PRESETS, type TimeRange } from "../time/range";

interface RangeMenuProps {
  range: TimeRange;
  zone: Zone;
  onChange: (range: TimeRange) => void;
}

export function RangeMenu({ range, zone, onChange }: RangeMenuProps) {
  return (
    <Menu label="Time range" button={<><Icon name="clock" /><bdi>{describeRange(range, zone)}</bdi><Icon name="down" size={12} /></>}>
      {(close) => {
        const choose = (next: TimeRange) => {
          onChange(next);
          close();
        };
        return (
          <div className="grid w-[min(480px,calc(100vw-32px))] grid-cols-[150px_1fr]">
            <div className="border-r border-line p-1">
              {PRESETS.map((preset) => (
                <button
                  key={preset.from}
                  type="button"
                  className="menu-item"
                  aria-current={range.from === preset.from && range.to === ""}
                  onClick={() => choose({ from: preset.from, to: "" })}
                >
                  {preset.label}
                </button>
              ))}
            </div>
            <Absolute range={range} zone={zone} onChange={choose} />
          </div>
        );
      }}
    </Menu>
  );
}

function Absolute({ range, zone, onChange }: RangeMenuProps) {
  const [from, setFrom] = useState(range.from);
  const [to, setTo] = useState(range.to);
  const now = Date.now();
  const fromMillis = parseTime(from, zone, now);
  const toMillis = parseTime(to, zone, now);
  const valid = (from.trim() === "" || fromMillis !== null) && (to.trim() === "" || toMillis !== null);
  const backwards = fromMillis !== null && (toMillis ?? Infinity) <= fromMillis;
  // What was typed as a point in time is kept as one; "2h" stays relative.
  const pinned = (text: string, millis: number | null) =>
    millis === null || /^-?\s*\d+(ms|[smhdw])/.test(text.trim()) || text.trim() === "now" ? text.trim() : new Date(millis).toISOString();
  return (
    <form
      className="space-y-2 p-3"
      onSubmit={(event) => {
        event.preventDefault();
        if (valid && !backwards) onChange({ from: pinned(from, fromMillis), to: pinned(to, toMillis) });
      }}
    >
      <TimeField label="From" value={from} millis={fromMillis} zone={zone} onChange={setFrom} />
      <TimeField label="To" value={to} millis={toMillis} zone={zone} onChange={setTo} />
      {backwards && <p className="text-xs text-error">The end is not after the beginning.</p>}
      <p className="text-xs text-faint">
        2026-11-20 14:03, 14:03, 90m, now, RFC 3339 or unix time. Zone: {zoneName(zone)}.
      </p>
      <button type="submit" className="button button-primary" disabled={!valid || backwards}>Apply</button>
    </form>
  );
}

interface TimeFieldProps {
  label: string;
  value: string;
  millis: number | null;
  zone: Zone;
  onChange: (value: string) => void;
}

function TimeField({ label, value, millis, zone, onChange }: TimeFieldProps) {
  const clock = millis === null ? null : clockAt(instantOfMillis(millis), zone);
  const empty = label === "From" ? "the beginning" : "now";
  return (
    <label className="block text-sm text-muted">
      {label}
      <input className="field mt-0.5 w-full font-mono" value={value} placeholder={empty} spellCheck={false} onChange={(event) => onChange(event.target.value)} />
      <span className={`mt-0.5 block text-xs ${value.trim() !== "" && !clock ? "text-error" : "text-faint"}`}>
        {clock ? `${clock.date} ${clock.time}` : value.trim() === "" ? "\u00a0" : "not a time"}
      </span>
    </label>
  );
}
