// Points in time with nanoseconds. A JavaScript number holds milliseconds only, so seconds and nanoseconds stand apart.

export interface Instant {
  /** Seconds since the epoch. */
  readonly seconds: number;
  /** 0 to 999,999,999. */
  readonly nanos: number;
}

const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:([Zz])|([+-])(\d\d):?(\d\d))$/;

export function parseInstant(text: string): Instant | null {
  const match = RFC_3339.exec(text);
  if (!match) return null;
  const [, year, month, day, hour, minute, second, fraction, , sign, offsetHour, offsetMinute] = match;
  const utc = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second)) / 1000;
  const offset = sign ? (Number(offsetHour) * 60 + Number(offsetMinute)) * 60 * (sign === "-" ? -1 : 1) : 0;
  if (!Number.isFinite(utc)) return null;
  return { seconds: utc - offset, nanos: fraction ? Number(fraction.padEnd(9, "0")) : 0 };
}

export function instantOfMillis(millis: number): Instant {
  const seconds = Math.floor(millis / 1000);
  return { seconds, nanos: Math.round((millis - seconds * 1000) * 1e6) };
}

export function millisOf(instant: Instant): number {
  return instant.seconds * 1000 + Math.floor(instant.nanos / 1e6);
}

/** `a - b` in nanoseconds; exact for spans of time below 104 days. */
export function nanosBetween(a: Instant, b: Instant): number {
  return (a.seconds - b.seconds) * 1e9 + (a.nanos - b.nanos);
}

/** "local" is the browser's zone; otherwise an IANA name or "UTC". */
export type Zone = string;

export function isZone(zone: string): boolean {
  try {
    return zone !== "" && Boolean(new Intl.DateTimeFormat("en", { timeZone: zone }));
  } catch {
    return false;
  }
}

export function browserZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: Zone): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-GB", {
      ...(zone === "local" ? {} : { timeZone: zone }),
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    formats.set(zone, format);
  }
  return format;
}

export interface Clock {
  /** 2026-11-20 */
  date: string;
  /** 14:03:11.204 */
  time: string;
  /** 14:03:11.204518233 */
  exact: string;
}

/** What a clock on the wall of `zone` shows. */
export function clockAt(instant: Instant, zone: Zone): Clock {
  const parts: Record<string, string> = {};
  for (const part of formatOf(zone).formatToParts(instant.seconds * 1000)) parts[part.type] = part.value;
  const nanos = String(instant.nanos).padStart(9, "0");
  const hms = `${parts["hour"]}:${parts["minute"]}:${parts["second"]}`;
  return {
    date: `${parts["year"]}-${parts["month"]}-${parts["day"]}`,
    time: `${hms}.${nanos.slice(0, 3)}`,
    exact: `${hms}.${nanos}`,
  };
}

/** Minutes that `zone` is ahead of UTC at a time. */
export function offsetMinutes(millis: number, zone: Zone): number {
  const clock = clockAt(instantOfMillis(Math.floor(millis / 1000) * 1000), zone);
  const wall = parseInstant(`${clock.date}T${clock.time}Z`);
  return wall ? Math.round((wall.seconds * 1000 - millis) / 60_000) : 0;
}

/** "Europe/Berlin", or "UTC". */
export function zoneName(zone: Zone): string {
  return zone === "local" ? browserZone() : zone;
}
