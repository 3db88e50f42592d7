// A row's name in the address: it survives reloads, where indexes do not.

import type { JourneyModel } from "./model";

export function keyOfRow(model: JourneyModel, row: number): string {
  if (row >= 0) return model.ids[row] ?? "";
  const log = model.logs[~row];
  return log ? `log:${log.record_id}` : "";
}

export function rowOfKey(model: JourneyModel, key: string): number | null {
  if (key.startsWith("log:")) {
    const wanted = key.slice(4);
    const log = model.logs.findIndex((record) => String(record.record_id) === wanted);
    return log < 0 ? null : ~log;
  }
  const node = model.ids.indexOf(key);
  return node < 0 ? null : node;
}
