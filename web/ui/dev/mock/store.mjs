// What the mock server knows: records newest first, and journeys by any of their ids.
import { bigJourney, checkout, hostile } from "./shop.mjs";
import { randomOf } from "./random.mjs";

export const IDS = {
  failing: "7f3a9c1e-0d52-4be1-a1f4-6b0f5c2d9e11",
  orphan: "19be02aa-51c7-4c0e-a9d3-0f6e2b7d4c55",
  arriving: "a11ce000-2b4d-4f6a-a8c0-1e3f5a7b9d02",
  hostile: "badbadba-dbad-4bad-abad-badbadbadbad",
  big: "b16b16b16b16b16b16b16b16b16b16b1",
  huge: "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0",
};

const normal = (id) => id.toLowerCase().replaceAll("-", "");

export class Store {
  constructor({ empty = false, now = Date.now() } = {}) {
    this.random = randomOf(7117);
    this.now = now;
    this.records = [];
    this.builders = new Map();
    this.extras = new Map();
    this.nextRecord = 1;
    if (!empty) this.fill();
    this.sort();
  }

  fill() {
    const { random } = this;
    for (let i = 0; i < 90; i += 1) {
      const start = this.now - 20_000 - i * 71_000 - random.between(0, 30_000);
      this.add(checkout(random, start, { failing: random.next() < 0.12, ids: this.ids() }));
    }
    this.add(checkout(random, this.now - 95_000, { failing: true, ids: this.ids(IDS.failing) }), {
      clock: [
        { service: "auth", instance: "auth-7c9f-1", offset_ns: 14_000_000, confidence: 0.71 },
        { service: "payments", instance: "payments-7c9f-1", offset_ns: -1_200_000, confidence: 0.93 },
      ],
      hubs: [{ id: "session-eu-1", reason: "shared by 4,812 traces" }],
      linked: [{ trace_id: "0af7651916cd43dd8448eb211c80319c", span_id: "b7ad6b7169203331", incoming: false }],
    });
    this.add(checkout(random, this.now - 180_000, { failing: true, orphan: true, ids: this.ids(IDS.orphan) }));
    this.add(checkout(random, this.now - 4_000, { ids: this.ids(IDS.arriving) }), {
      completeness: { state: "arriving", reasons: ["the last record came less than 10 s ago; more may follow"] },
    });
    this.add(hostile(random, this.now - 240_000, this.ids(IDS.hostile)));
    const big = bigJourney(randomOf(3), this.now - 3_600_000, 10_000, { ...this.ids(), trace: IDS.big });
    this.nextRecord = big.nextRecord;
    this.builders.set(IDS.big, big);
    this.records.push(...big.records.slice(0, 40));
  }

  ids(request) {
    return { firstRecord: this.nextRecord, ...(request ? { request } : {}) };
  }

  add(builder, extra = {}) {
    this.nextRecord = builder.nextRecord;
    this.builders.set(normal(builder.trace), builder);
    this.builders.set(normal(builder.request), builder);
    this.extras.set(builder, extra);
    this.records.push(...builder.records);
  }

  addLog(fields) {
    const record = {
      kind: "log",
      record_id: String(this.nextRecord++),
      timestamp: new Date().toISOString(),
      service: fields.service ?? "unknown_service",
      ...(fields.request_id ? { request_ids: [fields.request_id] } : {}),
      severity: fields.level ?? "INFO",
      severity_number: 9,
      body: fields.message ?? JSON.stringify(fields),
      attributes: {},
    };
    this.records.unshift(record);
    return record;
  }

  sort() {
    this.records.sort((a, b) => (a.timestamp < b.timestamp ? 1 : a.timestamp > b.timestamp ? -1 : Number(b.record_id) - Number(a.record_id)));
  }

  journey(id, { inferred, corrected }) {
    if (normal(id) === IDS.huge && !this.builders.has(IDS.huge)) {
      this.builders.set(IDS.huge, bigJourney(randomOf(5), this.now - 7_200_000, 100_000, { trace: IDS.huge }));
    }
    const builder =
      this.builders.get(normal(id)) ??
      [...this.builders.values()].find((b) => b.records.some((record) => record.span_id === normal(id)));
    if (!builder) return null;
    let answer = builder.journey(this.extras.get(builder));
    answer.id = id;
    if (!inferred) answer = withoutInferred(answer);
    if (corrected) answer = withClocks(answer);
    return answer;
  }
}

function withoutInferred(answer) {
  const nodes = answer.nodes.filter((node) => !node.inferred);
  return { ...answer, nodes, nodes_total: nodes.length, services: answer.services.filter((service) => !service.inferred) };
}

function withClocks(answer) {
  const offsets = new Map(answer.clock.map((clock) => [clock.service, clock.offset_ns / 1e6]));
  const shift = (text, millis) => new Date(Date.parse(text) + millis).toISOString();
  const nodes = answer.nodes.map((node) => {
    const by = offsets.get(node.service);
    if (by === undefined) return node;
    return { ...node, start: shift(node.start, by), logs: node.logs.map((log) => ({ ...log, timestamp: shift(log.timestamp, by) })) };
  });
  return { ...answer, nodes };
}
