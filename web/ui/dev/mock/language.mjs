// A crumb of the query language: enough to develop the UI against. The real one is the server's.
export class BadQuery extends Error {
  constructor(message, position) {
    super(message);
    this.position = position;
  }
}

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"];

export function matcherOf(query) {
  const open = query.lastIndexOf("(");
  if (open >= 0 && !query.includes(")", open)) throw new BadQuery("this bracket is never closed; add `)`", open);
  const conditions = [];
  for (const match of query.matchAll(/(-?)(?:([\w.@-]+)(:|>=|<=|!=|>|<))?("(?:[^"\\]|\\.)*"|[^\s()]+)/g)) {
    const [, minus, field, operator, raw] = match;
    const value = raw.startsWith('"') ? raw.slice(1, -1).replaceAll('\\"', '"') : raw;
    if (value === "*" || value === "AND" || value === "OR") continue;
    const test = field ? fieldTest(field, operator, value) : (record) => textOf(record).includes(value.toLowerCase().replaceAll("*", ""));
    conditions.push(minus ? (record) => !test(record) : test);
  }
  return (record) => conditions.every((condition) => condition(record));
}

function textOf(record) {
  return `${record.body ?? ""} ${record.name ?? ""} ${JSON.stringify(record.events ?? [])}`.toLowerCase();
}

function fieldTest(field, operator, value) {
  const id = value.toLowerCase().replaceAll("-", "");
  const ids = (record) => [record.trace_id, record.span_id, ...(record.request_ids ?? [])].map((x) => x?.toLowerCase().replaceAll("-", ""));
  if (["id", "trace", "request", "span"].includes(field)) return (record) => ids(record).includes(id);
  if (field === "level") {
    const wanted = LEVELS.indexOf(value.toLowerCase());
    return (record) => compare(Math.floor(((record.severity_number ?? -3) - 1) / 4), operator, wanted);
  }
  if (field === "duration") {
    const [, number, unit] = /^([\d.]+)(ms|s|us)?$/.exec(value) ?? [];
    const nanos = Number(number) * { ms: 1e6, s: 1e9, us: 1e3 }[unit ?? "ms"];
    return (record) => record.duration_ns !== undefined && compare(record.duration_ns, operator, nanos);
  }
  const key = field.replace(/^(attr|resource)\./, "");
  return (record) => {
    const found = record[field] ?? record.attributes?.[key] ?? record.resource?.[key];
    if (found === undefined) return operator === "!=";
    if (/[<>]/.test(operator)) return compare(Number(found), operator, Number(value));
    return (String(found).toLowerCase() === value.toLowerCase()) === (operator !== "!=");
  };
}

function compare(a, operator, b) {
  return { ":": a === b, "!=": a !== b, ">": a > b, ">=": a >= b, "<": a < b, "<=": a <= b }[operator] ?? false;
}
