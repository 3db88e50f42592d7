// Who is there: services with their rates, errors and latencies. A row searches that service.

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { services, type ApiError, type ServicesAnswer, type ServiceSummary } from "../api";
import { CompletenessNote, Notice, ServiceName } from "../components/Tags";
import { condition } from "../query/edit";
import { formatAgo, formatDuration } from "../time/duration";

type Column = { name: string; title: string; value: (s: ServiceSummary) => number | string; show: (s: ServiceSummary) => string; hide?: boolean };

const nanos = (value: number | null | undefined) => (value === null || value === undefined ? "–" : formatDuration(value));

const COLUMNS: readonly Column[] = [
  { name: "rate", title: "Records/s", value: (s) => s.rate ?? 0, show: (s) => formatRate(s.rate ?? 0) },
  { name: "errors", title: "Errors", value: (s) => s.errors ?? 0, show: (s) => formatErrors(s) },
  { name: "p50", title: "p50", value: (s) => s.p50_ns ?? -1, show: (s) => nanos(s.p50_ns), hide: true },
  { name: "p95", title: "p95", value: (s) => s.p95_ns ?? -1, show: (s) => nanos(s.p95_ns) },
  { name: "p99", title: "p99", value: (s) => s.p99_ns ?? -1, show: (s) => nanos(s.p99_ns), hide: true },
  { name: "spans", title: "Spans", value: (s) => s.spans ?? 0, show: (s) => (s.spans ?? 0).toLocaleString("en"), hide: true },
  { name: "logs", title: "Logs", value: (s) => s.logs ?? 0, show: (s) => (s.logs ?? 0).toLocaleString("en"), hide: true },
  { name: "seen", title: "Last seen", value: (s) => s.last_seen ?? "", show: (s) => (s.last_seen ? formatAgo(Date.now() - Date.parse(s.last_seen)) : "–"), hide: true },
];

function formatRate(rate: number): string {
  return rate >= 100 ? Math.round(rate).toLocaleString("en") : rate >= 1 ? rate.toFixed(1) : rate === 0 ? "0" : rate < 0.01 ? "< 0.01" : rate.toFixed(2);
}

function formatErrors(s: ServiceSummary): string {
  const errors = s.errors ?? 0;
  if (errors === 0) return "0";
  return `${errors.toLocaleString("en")} (${((s.error_ratio ?? 0) * 100).toFixed(1)}\u202f%)`;
}

export function ServicesScreen() {
  const query = useQuery<ServicesAnswer, ApiError>({
    queryKey: ["services"],
    queryFn: ({ signal }) => services({}, signal),
    refetchInterval: 15_000,
  });
  const [sort, setSort] = useState<{ name: string; down: boolean }>({ name: "service", down: false });
  const list = sorted(query.data?.services ?? [], sort);
  return (
    <div className="min-h-0 flex-1 overflow-y-auto">
      <div className="mx-auto max-w-6xl px-3 py-6 sm:px-6">
        <div className="mb-4 flex flex-wrap items-baseline gap-x-4">
          <h1 className="text-xl font-semibold tracking-tight">Services</h1>
          {query.data && (
            <p className="flex flex-wrap gap-x-3 text-sm text-muted">
              <span>{list.length} seen{query.data.seconds ? ` over ${formatDuration(query.data.seconds * 1e9)}` : ""}</span>
              {query.data.completeness && <CompletenessNote completeness={query.data.completeness} />}
            </p>
          )}
        </div>
        {query.error && <Notice tone="error"><span className="data">{query.error.message}</span></Notice>}
        {query.data && list.length === 0 && <p className="text-muted">No service has sent anything yet.</p>}
        {list.length > 0 && <ServiceTable list={list} sort={sort} setSort={setSort} />}
        {query.data && <p className="mt-3 text-sm text-faint">Latencies are those of server and consumer spans. A dash: the service only logs.</p>}
      </div>
    </div>
  );
}

function sorted(list: readonly ServiceSummary[], sort: { name: string; down: boolean }): ServiceSummary[] {
  const column = COLUMNS.find((one) => one.name === sort.name);
  const value = column?.value ?? ((s: ServiceSummary) => s.name);
  const order = [...list].sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : a.name < b.name ? -1 : 1));
  return sort.down ? order.reverse() : order;
}

interface ServiceTableProps {
  list: readonly ServiceSummary[];
  sort: { name: string; down: boolean };
  setSort: (sort: { name: string; down: boolean }) => void;
}

function ServiceTable({ list, sort, setSort }: ServiceTableProps) {
  const busiest = Math.max(...list.map((s) => s.rate ?? 0), 1e-9);
  const head = (name: string, title: string, hide?: boolean) => (
    <th
      key={name}
      scope="col"
      aria-sort={sort.name === name ? (sort.down ? "descending" : "ascending") : "none"}
      className={`border-b border-line px-2 py-1.5 font-medium whitespace-nowrap sm:px-3 ${name === "service" ? "text-left" : "text-right"} ${hide ? "hidden sm:table-cell" : ""}`}
    >
      <button type="button" className="text-sm text-muted hover:text-text" onClick={() => setSort({ name, down: sort.name === name ? !sort.down : name !== "service" })}>
        {sort.name === name && <span aria-hidden="true" className="mr-1">{sort.down ? "↓" : "↑"}</span>}
        {title}
      </button>
    </th>
  );
  return (
    <div className="overflow-x-auto rounded-lg border border-line bg-surface">
      <table className="w-full border-collapse">
        <thead>
          <tr>{head("service", "Service")}{COLUMNS.map((column) => head(column.name, column.title, column.hide))}</tr>
        </thead>
        <tbody>
          {list.map((service) => (
            <tr key={service.name} className="relative border-b border-line last:border-0 hover:bg-hover">
              <td className="max-w-60 px-2 py-2 sm:px-3">
                <Link to="/" search={{ q: condition("service", service.name) }} className="font-medium after:absolute after:inset-0">
                  <ServiceName name={service.name} inferred={service.spans === 0} className="max-w-full" />
                </Link>
                {service.spans === 0 && <span className="ml-3.5 text-xs whitespace-nowrap text-faint">logs only</span>}
              </td>
              {COLUMNS.map((column) => (
                <td
                  key={column.name}
                  className={`px-2 py-2 text-right font-mono text-sm whitespace-nowrap tabular-nums sm:px-3 ${column.hide ? "hidden sm:table-cell" : ""} ${column.name === "errors" && (service.errors ?? 0) > 0 ? "text-error" : ""}`}
                >
                  {column.show(service)}
                  {column.name === "rate" && (
                    <span aria-hidden="true" className="ml-2 hidden h-1.5 w-14 rounded-full bg-sunken align-middle sm:inline-block">
                      <span className="block h-full rounded-full bg-accent" style={{ width: `${Math.max(3, ((service.rate ?? 0) / busiest) * 100)}%` }} />
                    </span>
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
