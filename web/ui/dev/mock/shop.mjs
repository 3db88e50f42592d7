// A small shop: journeys as trees of nodes in the form of the API, with the records they are made of.
import { gapsOf, groupsOf } from "./marks.mjs";
import { rfc3339 } from "./random.mjs";

const HOSTILE = [
  "user said: <img src=x onerror=alert(1)> <script>alert('log')</script>",
  "invoice \u202Egnp.exe\u202C attached\u0000\u001b[31m red alert\u001b[0m",
  "login ok\r\n2026-11-20T14:03:11Z ERROR forged second line user=root",
  "zero\u200Bwidth and \uFEFFbom and javascript:alert(document.cookie) https://example.com/?q=<b>",
];

/** Builds one journey: `node` adds a span under another one, `log` a line on it. */
export class JourneyBuilder {
  constructor(random, startMillis, ids = {}) {
    this.random = random;
    this.start = startMillis;
    this.trace = ids.trace ?? random.hex(32);
    this.request = ids.request ?? random.uuid();
    this.roots = [];
    this.nextRecord = ids.firstRecord ?? 1;
    this.records = [];
  }

  node(parent, service, name, at, duration, extra = {}) {
    const { kind = "internal", error, attributes = {}, critical = false, events, links, missing, inferred } = extra;
    const spanId = this.random.hex(16);
    const start = this.start + at;
    const node = {
      node_id: missing ? `missing-${spanId}` : inferred ? `inferred-${spanId}` : spanId,
      parent_node_id: parent?.node_id ?? null,
      service: missing ? "" : service,
      name: missing ? "" : name,
      kind,
      start: rfc3339(start),
      startMillis: start,
      duration_ns: Math.round(duration * 1e6),
      self_time_ns: Math.round(duration * 4e5),
      status: error ? "error" : "unset",
      critical,
      inferred: inferred ?? null,
      missing: Boolean(missing),
      flags: [],
      span: null,
      logs: [],
      below: [],
    };
    if (!missing && !inferred) {
      node.span = {
        kind: "span",
        record_id: String(this.nextRecord++),
        timestamp: node.start,
        start: node.start,
        service,
        trace_id: this.trace,
        span_id: spanId,
        ...(parent ? { parent_span_id: parent.span?.span_id ?? parent.node_id.replace("missing-", "") } : {}),
        request_ids: [this.request],
        name,
        span_kind: kind,
        status: node.status,
        ...(error ? { status_message: error } : {}),
        duration_ns: node.duration_ns,
        attributes,
        resource: resourceOf(service),
        scope: { name: `shop.${service}`, version: "1.4.2" },
        events: events ?? [],
        links: links ?? [],
      };
      this.records.push(node.span);
    }
    (parent ? parent.below : this.roots).push(node);
    return node;
  }

  log(node, at, severity, body, attributes = {}, service = node.service) {
    const number = { TRACE: 1, DEBUG: 5, INFO: 9, WARN: 13, ERROR: 17, FATAL: 21 }[severity];
    const record = {
      kind: "log",
      record_id: String(this.nextRecord++),
      timestamp: rfc3339(this.start + at),
      service,
      ...(node.span ? { trace_id: this.trace, span_id: node.span.span_id } : {}),
      request_ids: [this.request],
      severity,
      severity_number: number,
      body,
      attributes,
      resource: resourceOf(service),
    };
    node.logs.push(record);
    this.records.push(record);
    return record;
  }

  /** The answer of /api/v1/journey, whole. */
  journey(extra = {}) {
    const nodes = [];
    const visit = (node, depth) => {
      const { below, startMillis: _startMillis, ...rest } = node;
      nodes.push({ ...rest, depth, children: below.length, logs_total: rest.logs.length });
      for (const child of [...below].sort((a, b) => a.startMillis - b.startMillis)) visit(child, depth + 1);
    };
    for (const root of this.roots) visit(root, 0);
    const end = this.roots.reduce((latest, root) => Math.max(latest, root.startMillis + root.duration_ns / 1e6), 0);
    const missing = nodes.filter((node) => node.missing).length;
    return {
      id: this.request,
      trace_ids: [this.trace],
      request_ids: [this.request],
      hubs: [],
      start: rfc3339(this.start),
      end: rfc3339(end),
      duration_ns: Math.round((end - this.start) * 1e6),
      services: countServices(nodes),
      nodes,
      nodes_total: nodes.length,
      gaps: gapsOf(nodes, (end - this.start) * 1e6),
      groups: groupsOf(nodes),
      linked: [],
      clock: [],
      ...extra,
      completeness: {
        state: missing > 0 ? "partial" : "complete",
        missing_parents: missing,
        reasons: missing > 0 ? [`${missing} span names a parent that was never received`] : [],
        ...extra.completeness,
      },
    };
  }
}

function resourceOf(service) {
  return {
    "service.name": service,
    "service.instance.id": `${service}-7c9f-1`,
    "service.version": "2.31.0",
    "deployment.environment.name": "prod",
    "host.name": `node-${(service.length % 4) + 1}`,
    "telemetry.sdk.language": { gateway: "go", payments: "java", mailer: "python" }[service] ?? "rust",
  };
}

function countServices(nodes) {
  const services = new Map();
  for (const node of nodes) {
    if (node.missing) continue;
    const entry = services.get(node.service) ?? { name: node.service, spans: 0, logs: 0, errors: 0, self_time_ns: 0, inferred: true };
    if (node.span) {
      entry.spans += 1;
      entry.inferred = false;
      entry.self_time_ns += node.self_time_ns;
      if (node.status === "error") entry.errors += 1;
    }
    entry.logs += node.logs.length;
    entry.errors += node.logs.filter((log) => log.severity_number >= 17).length;
    services.set(node.service, entry);
  }
  return [...services.values()];
}

const INFERRED = {
  reason: "auth sent no span; its 3 lines carry the request id and lie inside this call of gateway",
  confidence: 0.86,
};

/** One checkout. `failing`: the card is declined after a retry. `orphan`: a parent is missing. */
export function checkout(random, startMillis, { failing = false, orphan = false, ids = {} } = {}) {
  const b = new JourneyBuilder(random, startMillis, ids);
  const user = Math.floor(random.between(100, 999));
  const slow = failing ? random.between(1.4, 2) : random.between(0.7, 1.3);
  const total = (failing ? 920 : 310) * slow;
  const gateway = b.node(null, "gateway", "POST /checkout", 0, total, {
    kind: "server",
    critical: true,
    ...(failing ? { error: "upstream answered 402" } : {}),
    attributes: {
      "http.request.method": "POST",
      "http.route": "/checkout",
      "http.response.status_code": failing ? 502 : 200,
      "http.request.header.x-request-id": [b.request],
      "url.path": "/checkout",
      "user.id": user,
      "client.address": "203.0.113.24",
      "cart.total_cents": 9007199254740993n,
    },
  });
  b.log(gateway, 0.4, "INFO", `POST /checkout user=${user} items=3`, { "user.id": user });
  const authCall = b.node(gateway, "gateway", "GET auth/token", 2, 11, { kind: "client", attributes: { "server.address": "auth" } });
  const auth = b.node(authCall, "auth", "auth (logs only)", 4.1 - 14, 4.4, { kind: "server", inferred: INFERRED });
  b.log(auth, 4.1 - 14, "INFO", `token ok for user ${user}`, { ttl_s: 840 });
  b.log(auth, 6.0 - 14, "DEBUG", "cache hit tokens/eu-1", { cache: "tokens" });
  b.log(auth, 8.5 - 14, failing ? "WARN" : "INFO", failing ? "token expires in 14 s" : "session extended", { session: random.hex(12) });
  const reserve = b.node(gateway, "orders", "reserve stock", 16, 46 * slow, { kind: "server", critical: true, attributes: { "order.items": 3 } });
  b.log(reserve, 18, "INFO", "reserving 3 items", { warehouse: "berlin-2" });
  for (let item = 0; item < 3; item += 1) {
    const at = 20 + item * 12 * slow;
    const call = b.node(reserve, "inventory", "reserve", at, 9 * slow, { kind: "server", attributes: { sku: `SKU-${1000 + item}` } });
    b.node(call, "postgres", "UPDATE stock", at + 1, 5 * slow, {
      kind: "client",
      attributes: { "db.system.name": "postgresql", "db.query.text": "UPDATE stock SET reserved = reserved + $1 WHERE sku = $2" },
    });
    if (item === 2) b.log(call, at + 4, "DEBUG", `stock of SKU-${1000 + item} left: ${Math.floor(random.between(1, 40))}`);
  }
  const payAt = 16 + 50 * slow;
  const payFor = total - payAt - 12;
  pay(b, gateway, { payAt, payFor, failing, orphan, user });
  if (!failing) mail(b, gateway, total);
  b.log(gateway, total - 0.8, failing ? "ERROR" : "INFO", failing ? "502 upstream answered 402 Payment Required" : "200 order placed", {
    "http.response.status_code": failing ? 502 : 200,
  });
  return b;
}

function pay(b, gateway, { payAt, payFor, failing, orphan, user }) {
  const order = b.node(gateway, "orders", "pay", payAt, payFor, { kind: "server", critical: true, ...(failing ? { error: "payment failed" } : {}) });
  const parent = orphan ? b.node(order, "", "", payAt + 3, payFor - 6, { missing: true }) : order;
  const charge = b.node(parent, "payments", "charge", payAt + 5, payFor - 12, {
    kind: "server",
    critical: true,
    ...(failing ? { error: "card declined (51)" } : {}),
    attributes: { "payment.provider": "bank", "card.code": failing ? 51 : 0, "payment.amount_cents": 4215, currency: "EUR", "user.id": user },
    links: [{ trace_id: "0af7651916cd43dd8448eb211c80319c", span_id: "b7ad6b7169203331" }],
    events: failing
      ? [
          {
            timestamp: rfc3339(b.start + payAt + payFor - 14),
            name: "exception",
            attributes: {
              "exception.type": "CardDeclined",
              "exception.message": "card declined (51): insufficient funds",
              "exception.stacktrace":
                "CardDeclined: card declined (51): insufficient funds\n\tat shop.payments.Bank.charge(Bank.java:118)\n\tat shop.payments.Charge.run(Charge.java:64)\n\tat java.base/java.lang.Thread.run(Thread.java:1583)",
            },
          },
        ]
      : [],
  });
  const attempts = failing ? 3 : 1;
  const each = (payFor - 30) / attempts;
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const at = payAt + 9 + attempt * each;
    const last = attempt === attempts - 1;
    const call = b.node(charge, "payments", "POST bank/charges", at, each - 6, {
      kind: "client",
      critical: last,
      ...(failing ? { error: last ? "402 Payment Required" : "timeout after 500 ms" } : {}),
      attributes: { "http.request.method": "POST", "server.address": "bank.example", "http.response.status_code": failing ? (last ? 402 : 504) : 200, attempt: attempt + 1 },
    });
    if (failing && !last) b.log(call, at + each - 8, "WARN", "gateway slow, retrying", { attempt: attempt + 1, backoff_ms: 50 });
  }
  if (failing) {
    b.log(charge, payAt + payFor - 14, "ERROR", "card declined", { code: 51, provider: "bank" });
    b.log(order, payAt + payFor - 4, "ERROR", "payment failed, rolling back reservation", { items: 3 });
  } else {
    b.log(charge, payAt + payFor - 10, "INFO", "charged 42.15 EUR", { provider: "bank" });
  }
}

function mail(b, gateway, total) {
  const at = total - 11;
  const send = b.node(gateway, "mailer", "send receipt", at, 8, { kind: "consumer" });
  b.log(send, at + 2, "INFO", "receipt queued", { template: "receipt-v4" });
}

export function hostile(random, startMillis, ids) {
  const b = new JourneyBuilder(random, startMillis, ids);
  const root = b.node(null, "gateway", 'GET /search?q="><script>alert(1)</script>', 0, 44, {
    kind: "server",
    attributes: { "user_agent.original": HOSTILE[0], "weird key \u202E": HOSTILE[1], nested: { a: [1, 2, { b: "c" }] } },
  });
  HOSTILE.forEach((text, i) => b.log(root, 2 + i * 8, i === 2 ? "ERROR" : "WARN", text, { raw: text }));
  b.log(root, 40, "INFO", `long message: ${"all work and no play makes jack a dull boy. ".repeat(900)}`, { size: 40_000 });
  return b;
}

/** A journey of so many spans: a batch job that fans out. */
export function bigJourney(random, startMillis, spans, ids) {
  const b = new JourneyBuilder(random, startMillis, ids);
  const duration = 48_000;
  const root = b.node(null, "scheduler", "nightly reprice", 0, duration, { kind: "internal", critical: true });
  const services = ["catalog", "pricing", "inventory", "postgres", "search"];
  const open = [{ node: root, at: 0, duration, depth: 0 }];
  for (let count = 1; count < spans; count += 1) {
    const parent = open[Math.floor(random.next() ** 2 * open.length)];
    const length = parent.duration * random.between(0.02, 0.5);
    const at = parent.at + random.next() * (parent.duration - length);
    const failing = random.next() < 0.002;
    const node = b.node(parent.node, random.pick(services), random.pick(["reprice item", "SELECT prices", "GET /item/{id}", "publish", "index"]), at, length, {
      kind: random.pick(["internal", "client", "server"]),
      critical: parent.node.critical && length > parent.duration * 0.4,
      ...(failing ? { error: "deadline exceeded" } : {}),
    });
    if (random.next() < 0.15) b.log(node, at + length / 2, failing ? "ERROR" : "INFO", failing ? "deadline exceeded" : `repriced batch ${count}`);
    if (parent.depth < 60 && length > 0.01) open.push({ node, at, duration: length, depth: parent.depth + 1 });
  }
  return b;
}
