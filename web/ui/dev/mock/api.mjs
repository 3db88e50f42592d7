// The routes of the HTTP API that the UI uses, over generated data, as connect-style middleware.
import { checkout } from "./shop.mjs";
import { BadQuery, matcherOf } from "./language.mjs";
import { skeletonOf } from "./marks.mjs";
import { Store } from "./store.mjs";

export function mockApi(options = {}) {
  const store = new Store(options);
  return (request, response, next) => {
    const url = new URL(request.url, "http://mock");
    const route = routes.find(([pattern]) => pattern.test(url.pathname));
    if (!route) return next();
    try {
      route[1](store, url, request, response);
    } catch (error) {
      if (!(error instanceof BadQuery)) throw error;
      send(response, 400, { error: { code: "bad_query", message: error.message, position: error.position } });
    }
  };
}

const routes = [
  [/^\/api\/v1\/search$/, searchRoute],
  [/^\/api\/v1\/fields$/, fieldsRoute],
  [/^\/api\/v1\/fields\/[^/]+\/values$/, valuesRoute],
  [/^\/api\/v1\/journey\/[^/]+$/, journeyRoute],
  [/^\/api\/v1\/histogram$/, histogramRoute],
  [/^\/api\/v1\/journey\/[^/]+\/skeleton$/, skeletonRoute],
  [/^\/api\/v1\/services$/, servicesRoute],
  [/^\/api\/v1\/tail$/, tailRoute],
  [/^\/api\/v1\/logs$/, logsRoute],
  [/^\/api\/v1\/session$/, sessionRoute],
];

/** As a server without tokens answers. */
function sessionRoute(_store, _url, _request, response) {
  send(response, 200, { needs_token: false, signed_in: false, scope: null, tenant: null, insecure: false });
}

function send(response, status, answer) {
  // Integers beyond 2^53 go out as integers, as the real server writes them.
  const text = JSON.stringify(answer, (_key, value) => (typeof value === "bigint" ? `\u0001${value}\u0001` : value));
  response.writeHead(status, { "content-type": "application/json" });
  response.end(text.replace(/"\\u0001(-?\d+)\\u0001"/g, "$1"));
}

/** Records that a question is about, newest first. */
function matching(store, url) {
  const matches = matcherOf(url.searchParams.get("q") ?? "");
  const start = url.searchParams.get("start") ?? "";
  const end = url.searchParams.get("end") ?? "9999";
  return store.records.filter((r) => r.timestamp >= start && r.timestamp < end && matches(r));
}

function completenessOf(url) {
  const partial = (url.searchParams.get("q") ?? "").includes("partial");
  return partial
    ? { state: "partial", reasons: ["shard 2026-11-20/0193 could not be read: checksum mismatch in block 12"], shards_searched: 13, shards_failed: 1 }
    : { state: "complete", reasons: [], shards_searched: 14, shards_failed: 0 };
}

function searchRoute(store, url, _request, response) {
  const limit = Number(url.searchParams.get("limit") ?? 100);
  const from = Number(url.searchParams.get("cursor") ?? 0);
  const found = matching(store, url);
  send(response, 200, {
    records: found.slice(from, from + limit),
    next_cursor: from + limit < found.length ? String(from + limit) : null,
    completeness: completenessOf(url),
  });
}

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"];
const WIDTHS_MS = [1, 10, 100, 1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 86_400_000, Infinity];

/** A field of a record as the counting routes see it; null when there is none. */
function valueOf(record, field) {
  if (field === "level") return record.severity_number ? LEVELS[Math.floor((record.severity_number - 1) / 4)] : null;
  const value = record[field === "span.kind" ? "span_kind" : field] ?? record.attributes?.[field] ?? record.resource?.[field];
  return value === undefined ? null : String(value);
}

function fieldsRoute(store, url, _request, response) {
  const counts = new Map();
  for (const record of matching(store, url)) {
    const names = ["service", "level", "name", "status", "duration", ...Object.keys(record.attributes ?? {}), ...Object.keys(record.resource ?? {})];
    for (const name of new Set(names)) {
      const has = name === "duration" ? record.duration_ns !== undefined : valueOf(record, name) !== null;
      if (has) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  const fields = [...counts].map(([name, count]) => ({ name, type: name === "duration" ? "duration" : "string", count, place: "record", types: [] }));
  send(response, 200, { fields: fields.sort((a, b) => b.count - a.count), more: false, completeness: completenessOf(url) });
}

function valuesRoute(store, url, _request, response) {
  const field = decodeURIComponent(url.pathname.split("/")[4]);
  const prefix = (url.searchParams.get("prefix") ?? "").toLowerCase();
  const counts = new Map();
  const found = matching(store, url);
  for (const record of found) {
    const value = valueOf(record, field);
    if (value?.toLowerCase().startsWith(prefix)) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const values = [...counts].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count);
  const shown = values.slice(0, Number(url.searchParams.get("limit") ?? 20));
  send(response, 200, { values: shown, other: 0, without: 0, exact: true, completeness: completenessOf(url) });
}

function histogramRoute(store, url, _request, response) {
  const found = matching(store, url);
  const timeOf = (text) => Date.parse(text);
  const from = timeOf(url.searchParams.get("start") ?? store.records.at(-1)?.timestamp);
  const until = timeOf(url.searchParams.get("end") ?? store.records[0]?.timestamp) + 1;
  const width = WIDTHS_MS.find((one) => (until - from) / one < Number(url.searchParams.get("buckets") ?? 60) - 1);
  const first = Math.floor(from / width);
  const count = store.records.length === 0 ? 0 : Math.ceil(until / width) - first;
  const empty = () => Array.from({ length: count }, () => 0);
  const counts = empty();
  const groups = new Map();
  for (const record of found) {
    const bucket = Math.floor(timeOf(record.timestamp) / width) - first;
    const value = valueOf(record, url.searchParams.get("by"));
    if (!groups.has(value)) groups.set(value, empty());
    counts[bucket] += 1;
    groups.get(value)[bucket] += 1;
  }
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
  send(response, 200, {
    buckets: counts.map((one, i) => ({ start: new Date((first + i) * width).toISOString(), count: one })),
    interval_ns: width * 1e6,
    total: found.length,
    groups: [...groups].map(([value, list]) => ({ value, total: sum(list), counts: list })),
    other: null,
    completeness: completenessOf(url),
  });
}

/** The whole journey of the id in the address; null after having answered that there is none. */
function journeyOf(store, url, response) {
  const id = decodeURIComponent(url.pathname.split("/")[4]);
  const answer = store.journey(id, {
    inferred: url.searchParams.get("inferred") !== "false",
    corrected: url.searchParams.get("corrected") === "true",
  });
  if (!answer) send(response, 404, { error: { code: "not_found", message: `nothing carries the id ${id}` } });
  return answer;
}

function skeletonRoute(store, url, _request, response) {
  const answer = journeyOf(store, url, response);
  if (answer) send(response, 200, skeletonOf(answer));
}

function journeyRoute(store, url, _request, response) {
  const answer = journeyOf(store, url, response);
  if (!answer) return;
  const limit = Number(url.searchParams.get("limit") ?? 1000);
  const from = Number((url.searchParams.get("cursor") ?? "n0").slice(1));
  send(response, 200, {
    ...answer,
    nodes: answer.nodes.slice(from, from + limit),
    next_cursor: from + limit < answer.nodes.length ? `n${from + limit}` : null,
  });
}

function servicesRoute(store, _url, _request, response) {
  const services = new Map();
  for (const record of store.records) {
    const entry = services.get(record.service) ?? { name: record.service, spans: 0, logs: 0, errors: 0, durations: [], last_seen: record.timestamp };
    if (record.kind === "span") {
      entry.spans += 1;
      entry.durations.push(record.duration_ns);
    } else entry.logs += 1;
    if (record.status === "error" || record.severity_number >= 17) entry.errors += 1;
    services.set(record.service, entry);
  }
  const list = [...services.values()].map(({ durations, ...entry }) => {
    durations.sort((a, b) => a - b);
    const at = (share) => (durations.length ? durations[Math.floor((durations.length - 1) * share)] : null);
    const count = entry.spans + entry.logs;
    return { ...entry, rate: count / 6400, error_ratio: entry.errors / count, p50_ns: at(0.5), p95_ns: at(0.95), p99_ns: at(0.99) };
  });
  list.sort((a, b) => (a.name < b.name ? -1 : 1));
  send(response, 200, { services: list, seconds: 6400, completeness: { state: "complete", reasons: [] } });
}

function tailRoute(store, url, request, response) {
  const matches = matcherOf(url.searchParams.get("q") ?? "");
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  let sent = 0;
  let waiting = [];
  const event = (name, data) => response.write(`event: ${name}\nid: ${store.nextRecord}\ndata: ${JSON.stringify(data, (_k, v) => (typeof v === "bigint" ? Number(v) : v))}\n\n`);
  const timer = setInterval(() => {
    if (waiting.length === 0) {
      const fresh = checkout(store.random, Date.now() - 400, { failing: store.random.next() < 0.2, ids: store.ids() });
      store.add(fresh);
      store.sort();
      waiting = fresh.records.slice().sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
    }
    for (const record of waiting.splice(0, 3)) {
      if (!matches(record)) continue;
      event("record", record);
      sent += 1;
      if (sent % 40 === 0) event("gap", { skipped: 412 });
    }
    event("heartbeat", {});
  }, 250);
  request.on("close", () => clearInterval(timer));
}

function logsRoute(store, _url, request, response) {
  let body = "";
  request.on("data", (chunk) => (body += chunk));
  request.on("end", () => {
    store.addLog(JSON.parse(body));
    send(response, 200, { accepted: 1, rejected: [] });
  });
}
