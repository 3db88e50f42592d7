// The HTTP API as the browser sees it: types, one function per route, errors that name what is wrong.

export type Value = string | number | bigint | boolean | null | Value[] | { [key: string]: Value };
export type Attributes = Record<string, Value>;

export interface SpanEvent {
  timestamp?: string;
  name?: string;
  attributes?: Attributes;
}

export interface SpanLink {
  trace_id?: string;
  span_id?: string;
  attributes?: Attributes;
}

/** One log record or one span; absent fields are omitted. */
export interface LogOrSpan {
  kind: "log" | "span";
  record_id: string | number;
  timestamp: string;
  service?: string;
  trace_id?: string;
  span_id?: string;
  parent_span_id?: string;
  request_ids?: string[];
  severity?: string;
  severity_number?: number;
  body?: Value;
  event_name?: string;
  name?: string;
  span_kind?: string;
  status?: string;
  status_message?: string;
  start?: string;
  duration_ns?: number;
  attributes?: Attributes;
  resource?: Attributes;
  scope?: Attributes;
  events?: SpanEvent[];
  links?: SpanLink[];
  trace_state?: string;
  observed_timestamp?: string;
  /** The time as sent, where `timestamp` is not it. */
  original_time?: string;
  dropped_attributes_count?: number;
  dropped_events_count?: number;
  dropped_links_count?: number;
}

export interface Completeness {
  state: "complete" | "arriving" | "partial";
  reasons?: string[];
  missing_parents?: number;
  shards_searched?: number;
  shards_failed?: number;
}

export interface SearchAnswer {
  records: LogOrSpan[];
  next_cursor?: string | null;
  /** What else is to be known, if the answer may not be what was meant. */
  notes?: string[];
  completeness: Completeness;
}

export interface HistogramGroup {
  /** Null of records that have no value. */
  value: string | null;
  total: number;
  /** One for each bucket. */
  counts: number[];
}

/** Numbers of matching records over time. */
export interface HistogramAnswer {
  buckets: { start: string; count: number }[];
  interval_ns: number;
  total: number;
  groups: HistogramGroup[];
  /** Records with other values than those of the groups. */
  other?: { total: number; counts: number[] } | null;
  completeness: Completeness;
}

export interface Field {
  /** As a query names it. */
  name: string;
  /** The type that most of its values have. */
  type: string;
  /** Records that have it. */
  count: number;
}

export interface FieldsAnswer {
  fields: Field[];
  completeness: Completeness;
}

/** The values of a field, the most frequent first. */
export interface FieldValuesAnswer {
  values: { value: string; count: number }[];
  /** Records with other values than these. */
  other: number;
  /** False when there were too many values to keep apart. */
  exact: boolean;
  completeness: Completeness;
}

export interface JourneyService {
  name: string;
  spans: number;
  logs: number;
  errors: number;
  /** Time in its spans that none of their children covers. */
  self_time_ns: number;
  /** It sent no span: its place in the tree is inferred. */
  inferred: boolean;
}

export interface Inference {
  reason: string;
  confidence: number;
  /** Nodes that may as well be the one above it; empty where that is decided. */
  candidates?: string[];
}

export interface JourneyNode {
  node_id: string;
  parent_node_id?: string | null;
  depth: number;
  service?: string;
  name?: string;
  kind?: string;
  start: string;
  /** By how much the start was corrected; the times of its records are as they were sent. */
  corrected_by_ns?: number;
  duration_ns: number;
  self_time_ns?: number;
  status?: string;
  critical?: boolean;
  inferred?: Inference | null;
  missing?: boolean;
  flags?: string[];
  span?: LogOrSpan | null;
  logs?: LogOrSpan[];
  /** How many logs belong here, on all pages. */
  logs_total?: number;
  children?: number;
}

/** Where a span of the critical path had neither child nor log. */
export interface SilentGap {
  node_id: string;
  start: string;
  duration_ns: number;
}

/** Spans of one service and name below one parent. */
export interface SiblingGroup {
  /** Null for roots. */
  parent_node_id: string | null;
  service: string;
  name: string;
  kind: string;
  count: number;
  errors: number;
  total_ns: number;
  slowest_node_id: string;
  slowest_ns: number;
}

export interface ClockOffset {
  service: string;
  instance?: string | null;
  offset_ns: number;
  confidence: number;
}

export interface LinkedJourney {
  id?: string;
  trace_id?: string;
  span_id?: string | null;
  incoming?: boolean;
}

/** What is said of a journey as a whole. */
export interface JourneyHead {
  id: string;
  trace_ids?: string[];
  request_ids?: string[];
  hubs?: { id: string; reason: string }[];
  start: string;
  end: string;
  duration_ns: number;
  services: JourneyService[];
  nodes_total?: number;
  gaps?: SilentGap[];
  groups?: SiblingGroup[];
  linked?: LinkedJourney[];
  clock?: ClockOffset[];
  completeness: Completeness;
}

export interface Journey extends JourneyHead {
  nodes: JourneyNode[];
  next_cursor?: string | null;
}

/** Few different texts, and which of them each node has. */
export interface Dictionary {
  values: string[];
  codes: number[];
}

/** The whole tree as columns, in pre-order; what is said of few nodes is listed with their places. */
export interface Skeleton extends JourneyHead {
  columns: {
    node_id: string[];
    /** The place of the node above; -1 for a root. */
    parent: number[];
    service: Dictionary;
    name: Dictionary;
    kind: Dictionary;
    status: Dictionary;
    start_after_ns: number[];
    duration_ns: number[];
    self_time_ns: number[];
    logs: number[];
    log_errors: number[];
  };
  critical: number[];
  missing: number[];
  inferred: (Inference & { node: number })[];
  flags: { node: number; flags: string[] }[];
}

export interface ServiceSummary {
  name: string;
  spans?: number;
  logs?: number;
  errors?: number;
  /** Records per second. */
  rate?: number;
  /** Errors per record, 0 to 1. */
  error_ratio?: number;
  p50_ns?: number | null;
  p95_ns?: number | null;
  p99_ns?: number | null;
  last_seen?: string;
}

export interface ServicesAnswer {
  services: ServiceSummary[];
  seconds?: number;
  completeness?: Completeness;
}

/** An answer that is not 2xx, or no answer at all (`status` 0). */
export class ApiError extends Error {
  readonly status: number;
  /** Byte offset in the query, when the query is at fault. */
  readonly position: number | undefined;

  constructor(status: number, message: string, position?: number) {
    super(message);
    this.status = status;
    this.position = position;
  }
}

// Integers beyond 2^53 would be rounded; where there may be one, numbers are read from their source text. Digits behind a
// quotation mark are an id: a large journey has a hundred thousand of them.
const LONG_INTEGER = /[:,[]\s*-?\d{16}/;

/** Parses JSON and keeps every integer exact (as a bigint where a number cannot hold it). */
export function parseJson(text: string): unknown {
  if (!LONG_INTEGER.test(text)) return JSON.parse(text);
  const exact = (_key: string, value: unknown, context?: { source?: string }) => {
    if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
    return context?.source !== undefined && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
  };
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown);
}

function errorOf(status: number, text: string): ApiError {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return new ApiError(status, text.trim() || `the server answered ${status}`);
  }
  const outer = (answer ?? {}) as Record<string, unknown>;
  const inner = typeof outer["error"] === "object" && outer["error"] !== null ? (outer["error"] as Record<string, unknown>) : outer;
  const message = [inner["message"], inner["error"], inner["detail"]].find((m) => typeof m === "string");
  const position = inner["position"];
  return new ApiError(
    status,
    (message as string | undefined) ?? `the server answered ${status}`,
    typeof position === "number" ? position : undefined,
  );
}

async function get<T>(path: string, parameters: Record<string, string | undefined>, signal?: AbortSignal): Promise<T> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(address(path, parameters), { signal: signal ?? null, headers: { accept: "application/json" } });
    text = await response.text();
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(0, "needle does not answer. Is the server running, and is this page's address still right?");
  }
  if (!response.ok) throw errorOf(response.status, text);
  return parseJson(text) as T;
}

function address(path: string, parameters: Record<string, string | undefined>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== "") query.set(name, value);
  }
  const tail = query.toString();
  return tail ? `${path}?${tail}` : path;
}

const TAIL_BACKFILL_RECORDS = 50;

export interface SearchParameters {
  q: string;
  start?: string | undefined;
  end?: string | undefined;
  cursor?: string | undefined;
  limit: number;
}

export function search(p: SearchParameters, signal?: AbortSignal): Promise<SearchAnswer> {
  return get(
    "/api/v1/search",
    { q: p.q, start: p.start, end: p.end, limit: String(p.limit), cursor: p.cursor, order: "desc" },
    signal,
  );
}

export interface HistogramParameters {
  q: string;
  start?: string | undefined;
  end?: string | undefined;
  by?: string;
  /** At most so many; the server takes a width that people count in. */
  buckets: number;
}

export function histogram(p: HistogramParameters, signal?: AbortSignal): Promise<HistogramAnswer> {
  return get("/api/v1/histogram", { q: p.q, start: p.start, end: p.end, by: p.by, buckets: String(p.buckets) }, signal);
}

export function fields(signal?: AbortSignal): Promise<FieldsAnswer> {
  return get("/api/v1/fields", {}, signal);
}

export function fieldValues(name: string, prefix: string, limit: number, signal?: AbortSignal): Promise<FieldValuesAnswer> {
  return get(`/api/v1/fields/${encodeURIComponent(name)}/values`, { prefix, limit: String(limit) }, signal);
}

export interface JourneyParameters {
  id: string;
  inferred: boolean;
  corrected: boolean;
  cursor?: string | undefined;
  limit: number;
}

export function journey(p: JourneyParameters, signal?: AbortSignal): Promise<Journey> {
  return get(
    `/api/v1/journey/${encodeURIComponent(p.id)}`,
    { inferred: String(p.inferred), corrected: String(p.corrected), limit: String(p.limit), cursor: p.cursor },
    signal,
  );
}

/** The whole tree without attributes and texts. */
export function skeleton(p: Omit<JourneyParameters, "cursor" | "limit">, signal?: AbortSignal): Promise<Skeleton> {
  return get(`/api/v1/journey/${encodeURIComponent(p.id)}/skeleton`, { inferred: String(p.inferred), corrected: String(p.corrected) }, signal);
}

export function services(p: { start?: string | undefined }, signal?: AbortSignal): Promise<ServicesAnswer> {
  return get("/api/v1/services", { start: p.start }, signal);
}

/** `cursor` resumes after a record; without it the tail begins with the latest records there are. */
export function tailAddress(q: string, cursor?: string): string {
  return address("/api/v1/tail", { q: q || "*", cursor, backfill: cursor ? undefined : String(TAIL_BACKFILL_RECORDS) });
}

/** How this browser stands with the server. */
export interface Session {
  needs_token: boolean;
  signed_in: boolean;
  scope: string | null;
  tenant: string | null;
  /** Other machines reach the server, and it asks for no token or encrypts nothing. */
  insecure: boolean;
}

export function session(signal?: AbortSignal): Promise<Session> {
  return get<Session>("/api/v1/session", {}, signal);
}

/** Shows a token, for a cookie that the browser sends along from then on. */
export async function signIn(token: string): Promise<Session> {
  return sessionAnswer(await fetch("/api/v1/session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
  }));
}

export async function signOut(): Promise<Session> {
  return sessionAnswer(await fetch("/api/v1/session", { method: "DELETE" }));
}

async function sessionAnswer(response: Response): Promise<Session> {
  const text = await response.text();
  if (!response.ok) throw errorOf(response.status, text);
  return parseJson(text) as Session;
}

/** Stores one log record, as the curl line on the welcome page does. */
export async function sendLog(record: Attributes): Promise<void> {
  const response = await fetch("/api/v1/logs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(record),
  });
  if (!response.ok) throw errorOf(response.status, await response.text());
}

/** The address of a search, for a curl line. */
export function searchAddress(p: { q: string; start?: string | undefined; end?: string | undefined }): string {
  return location.origin + address("/api/v1/search", p);
}

/** The address of a journey, for a curl line. */
export function journeyAddress(id: string): string {
  return `${location.origin}/api/v1/journey/${encodeURIComponent(id)}`;
}
