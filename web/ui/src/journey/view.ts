// The part of time that is drawn. It lives outside React: zooming and panning only repaint.

export class ViewRange {
  private first = 0;
  private last = 1;
  private bounds = { from: 0, until: 1 };
  private readonly listeners = new Set<() => void>();
  private frame = 0;

  get from(): number {
    return this.first;
  }

  get until(): number {
    return this.last;
  }

  get isWhole(): boolean {
    return this.first <= this.bounds.from && this.last >= this.bounds.until;
  }

  get limits(): { from: number; until: number } {
    return this.bounds;
  }

  /** Sets what can be seen at all; a view of the whole stays one. */
  setBounds(from: number, until: number): void {
    const whole = this.isWhole || this.last - this.first <= 1;
    this.bounds = { from, until };
    if (whole) this.set(from, until);
    else this.set(this.first, this.last);
  }

  set(from: number, until: number): void {
    const whole = this.bounds.until - this.bounds.from;
    const width = Math.min(whole, Math.max(NANOS_MIN, until - from));
    const first = Math.min(Math.max(from, this.bounds.from), this.bounds.until - width);
    if (first === this.first && first + width === this.last) return;
    this.first = first;
    this.last = first + width;
    this.changed();
  }

  reset(): void {
    this.set(this.bounds.from, this.bounds.until);
  }

  /** Below 1 zooms in; `at` stays where it is. */
  zoom(factor: number, at = (this.first + this.last) / 2): void {
    const from = at - (at - this.first) * factor;
    this.set(from, from + (this.last - this.first) * factor);
  }

  /** By a share of what is shown. */
  pan(share: number): void {
    const by = (this.last - this.first) * share;
    this.set(this.first + by, this.last + by);
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Many changes in one frame are painted once. */
  changed(): void {
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      for (const listener of this.listeners) listener();
    });
  }
}

/** A view never gets narrower than this. */
const NANOS_MIN = 100;
