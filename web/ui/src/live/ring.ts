// The last records of a tail, newest first, and what waits while the reader is reading.

import type { LogOrSpan } from "../api";
import type { ResultItem } from "../search/ResultList";

export const ROWS_MAX = 5_000;

export class Ring {
  private shown: ResultItem[] = [];
  private waiting: ResultItem[] = [];
  private readonly keys = new Set<string>();
  private gaps = 0;
  /** Records that came while paused and no longer fit. */
  private pushedOut = 0;

  get items(): readonly ResultItem[] {
    return this.shown;
  }

  get waitingCount(): number {
    return this.waiting.length + this.pushedOut;
  }

  record(record: LogOrSpan): void {
    const key = `${record.kind}${record.record_id}`;
    // After a reconnection the same record may come again.
    if (this.keys.has(key)) return;
    this.keys.add(key);
    this.waiting.push({ type: "record", key, record });
    this.trimWaiting();
  }

  gap(skipped: number): void {
    this.gaps += 1;
    this.waiting.push({ type: "gap", key: `gap${this.gaps}`, skipped });
    this.trimWaiting();
  }

  /** Moves what waits into view. What was pushed out meanwhile is a gap like any other. */
  flush(): boolean {
    if (this.waiting.length === 0) return false;
    const fresh = this.waiting.reverse();
    if (this.pushedOut > 0) {
      this.gaps += 1;
      fresh.push({ type: "gap", key: `gap${this.gaps}`, skipped: this.pushedOut });
    }
    this.waiting = [];
    this.pushedOut = 0;
    const all = [...fresh, ...this.shown];
    this.shown = all.slice(0, ROWS_MAX);
    for (const dropped of all.slice(ROWS_MAX)) this.keys.delete(dropped.key);
    return true;
  }

  clear(): void {
    this.shown = [];
    this.waiting = [];
    this.pushedOut = 0;
    this.keys.clear();
  }

  private trimWaiting(): void {
    while (this.waiting.length > ROWS_MAX) {
      const dropped = this.waiting.shift();
      if (!dropped) return;
      this.keys.delete(dropped.key);
      this.pushedOut += dropped.type === "gap" ? dropped.skipped : 1;
    }
  }
}
