// Every service keeps its colour. The preferred one follows from the name alone (FNV-1a, as in the terminal);
// a service met later that would share it takes the next free one.

export const COLOR_COUNT = 12;
const STORAGE_KEY = "needle.colors";
const NAMES_MAX = 300;

/** FNV-1a over UTF-8, 32 bits. */
export function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

export class ServiceColors {
  private readonly slots = new Map<string, number>();
  private readonly used: number[] = Array.from({ length: COLOR_COUNT }, () => 0);

  constructor(known: readonly [string, number][] = []) {
    for (const [name, slot] of known) this.take(name, slot);
  }

  slotOf(name: string): number {
    const known = this.slots.get(name);
    if (known !== undefined) return known;
    const preferred = hashName(name) % COLOR_COUNT;
    const fewest = Math.min(...this.used);
    let slot = preferred;
    // Steps of five visit all twelve, and neighbours in the list differ most.
    while (this.used[slot] !== fewest) slot = (slot + 5) % COLOR_COUNT;
    this.take(name, slot);
    return slot;
  }

  entries(): [string, number][] {
    return [...this.slots];
  }

  private take(name: string, slot: number): void {
    if (!Number.isInteger(slot) || slot < 0 || slot >= COLOR_COUNT) return;
    this.slots.set(name, slot);
    this.used[slot] = (this.used[slot] ?? 0) + 1;
  }
}

function load(): ServiceColors {
  try {
    return new ServiceColors(JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "[]") as [string, number][]);
  } catch {
    return new ServiceColors();
  }
}

let colors: ServiceColors | undefined;

/** The CSS variable of a service's colour. */
export function serviceColor(name: string): string {
  return `var(--svc-${serviceSlot(name)})`;
}

export function serviceSlot(name: string): number {
  colors ??= load();
  const before = colors.entries().length;
  const slot = colors.slotOf(name);
  if (colors.entries().length !== before && before < NAMES_MAX) save(colors);
  return slot;
}

function save(all: ServiceColors): void {
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(all.entries()));
  } catch {
    // Without storage the colours hold for this page.
  }
}
