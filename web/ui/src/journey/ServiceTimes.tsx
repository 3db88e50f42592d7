// How long each service was at work itself, the busiest first.

import type { JourneyService } from "../api";
import { Icon } from "../components/Icon";
import { Menu } from "../components/Menu";
import { ServiceName } from "../components/Tags";
import { serviceColor } from "../services/color";
import { formatDuration } from "../time/duration";

export function bySelfTime(services: readonly JourneyService[]): JourneyService[] {
  return [...services].sort((a, b) => b.self_time_ns - a.self_time_ns || b.logs - a.logs);
}

export function ServiceTimes({ services }: { services: readonly JourneyService[] }) {
  const most = services.reduce((longest, one) => Math.max(longest, one.self_time_ns), 1);
  return (
    <Menu label="Time by service" className="button h-6 px-2" button={<><Icon name="clock" size={12} />Time by service<Icon name="down" size={10} /></>}>
      {() => (
        // The panel scrolls by keyboard.
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <div className="max-h-[60vh] w-[min(560px,calc(100vw-24px))] overflow-y-auto p-3" tabIndex={0} role="region" aria-label="Time by service">
          <table className="w-full text-sm tabular-nums">
            <thead className="text-left text-xs text-faint">
              <tr>
                <th scope="col" className="font-medium">Service</th>
                <th scope="col" className="text-right font-medium">Self time</th>
                <th scope="col" className="hidden w-24 sm:table-cell"><span className="visually-hidden">Share</span></th>
                <th scope="col" className="text-right font-medium">Spans</th>
                <th scope="col" className="text-right font-medium">Logs</th>
                <th scope="col" className="text-right font-medium">Errors</th>
              </tr>
            </thead>
            <tbody>
              {bySelfTime(services).map((service) => (
                <tr key={service.name} className="border-t border-line">
                  <th scope="row" className="max-w-40 py-1 text-left font-medium"><ServiceName name={service.name} inferred={service.inferred} /></th>
                  <td className="text-right">{service.inferred ? "–" : formatDuration(service.self_time_ns)}</td>
                  <td aria-hidden="true" className="hidden pl-3 sm:table-cell">
                    <span className="block h-1.5 rounded-full" style={{ width: `${(service.self_time_ns / most) * 100}%`, background: serviceColor(service.name) }} />
                  </td>
                  <td className="text-right text-muted">{service.spans.toLocaleString("en")}</td>
                  <td className="text-right text-muted">{service.logs.toLocaleString("en")}</td>
                  <td className={`text-right ${service.errors > 0 ? "text-error" : "text-faint"}`}>{service.errors.toLocaleString("en")}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <p className="mt-2 text-xs text-faint">
            Self time: what no span below covers, in all spans of the service together. What ran side by side counts twice. A dash: the service only logs, so its time is not known.
          </p>
        </div>
      )}
    </Menu>
  );
}
