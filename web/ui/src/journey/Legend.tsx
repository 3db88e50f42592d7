// The services of the journey, the busiest first. A click brings one forward.

import type { ClockOffset, JourneyService } from "../api";
import { ServiceName } from "../components/Tags";
import { groupText, type Group } from "./marks";
import { bySelfTime, ServiceTimes } from "./ServiceTimes";
import { visibleText } from "../text/visible";
import { formatDuration, formatSigned } from "../time/duration";

interface LegendProps {
  services: readonly JourneyService[];
  clock: readonly ClockOffset[];
  corrected: boolean;
  focus: string | null;
  onFocus: (service: string | null) => void;
  /** Roots that are alike. */
  roots: readonly Group[];
  onJump: (node: number) => void;
}

/** Less is noise of the estimate. */
const SKEW_SHOWN_NANOS = 500_000;

export function Legend({ services, clock, corrected, focus, onFocus, roots, onJump }: LegendProps) {
  return (
    <div className="flex items-start gap-1 px-3 pb-2 sm:px-4">
      <ServiceTimes services={services} />
      <ul aria-label="Services" className="flex max-h-14 min-w-0 gap-1 overflow-x-auto sm:flex-wrap sm:overflow-y-auto">
        {bySelfTime(services).map((service) => (
          <li key={service.name}>
            <button
              type="button"
              className="button h-6 px-2"
              aria-pressed={focus === service.name}
              title={`${service.spans} spans, ${service.logs} logs, ${service.errors} errors; ${formatDuration(service.self_time_ns)} of its own. Click to bring forward.`}
              onClick={() => onFocus(focus === service.name ? null : service.name)}
            >
              <ServiceName name={service.name} inferred={service.inferred} className="text-text" />
              {service.inferred && <span className="text-thread">· inferred</span>}
              <span className="font-mono text-xs tabular-nums">{service.inferred ? `${service.logs.toLocaleString("en")} ${service.logs === 1 ? "log" : "logs"}` : formatDuration(service.self_time_ns)}</span>
              {service.errors > 0 && <span className="font-mono text-xs text-error">{service.errors} ✗</span>}
              {clock.filter((one) => one.service === service.name && Math.abs(one.offset_ns) >= SKEW_SHOWN_NANOS).map((one) => (
                <Skew key={one.instance ?? ""} clock={one} corrected={corrected} />
              ))}
            </button>
          </li>
        ))}
        {roots.map((group) => (
          <li key={`${group.service} ${group.name}`}>
            <button type="button" className="button h-6 px-2" disabled={group.slowest < 0} title="Roots that are alike. Click for the slowest." onClick={() => onJump(group.slowest)}>
              {groupText(group)}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** `offset_ns` is what must be added to its times, so the clock itself is off by the opposite. */
function Skew({ clock, corrected }: { clock: ClockOffset; corrected: boolean }) {
  const direction = clock.offset_ns > 0 ? "behind" : "ahead";
  const about = `The clock of ${visibleText(clock.instance ?? clock.service)} is estimated ${formatDuration(Math.abs(clock.offset_ns))} ${direction} (confidence ${Math.round(clock.confidence * 100)} %). ${corrected ? "Its times are corrected here." : "Times are shown as sent."}`;
  return (
    <span className="rounded bg-warn-soft px-1 text-xs text-warn" title={about}>
      skew {formatSigned(-clock.offset_ns)} est.{corrected ? ", corrected" : ""}
    </span>
  );
}
