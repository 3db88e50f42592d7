// Is what was pasted clearly an id? Then it opens a journey instead of searching for words.

const HEX_32 = /^[0-9a-f]{32}$/i;
const HEX_16 = /^[0-9a-f]{16}$/i;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/i;
const B3 = /^([0-9a-f]{32}|[0-9a-f]{16})-[0-9a-f]{16}(-[01d](-[0-9a-f]{16})?)?$/i;
const CLOUD_TRACE = /^([0-9a-f]{32})\/\d+(;o=\d)?$/i;
const AMAZON = /^(?:Root=)?1-([0-9a-f]{8})-([0-9a-f]{24})(?:;.*)?$/i;
const DATADOG = /^\d{17,20}$/;
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
// A word, a separator, then something long with a digit in it: req-7f3a9c1e, order_2026A1B2.
const PREFIXED = /^[a-z]{2,12}[-_](?=[^\s:"]*\d)[0-9a-z][0-9a-z_-]{5,}$/i;

const ALL_ZERO = /^[0-]+$/;

/** The id to open, or null when the text is better searched for. */
export function recogniseId(text: string): string | null {
  const typed = text.trim().replace(/^\{(.*)\}$/, "$1").replace(/^["'](.*)["']$/, "$1").trim();
  if (typed === "" || ALL_ZERO.test(typed)) return null;
  const traceparent = TRACEPARENT.exec(typed) ?? CLOUD_TRACE.exec(typed) ?? B3.exec(typed);
  if (traceparent?.[1]) return traceparent[1];
  const amazon = AMAZON.exec(typed);
  if (amazon) return `${amazon[1]}${amazon[2]}`;
  const plain = [HEX_32, UUID, HEX_16, DATADOG, ULID, PREFIXED].some((form) => form.test(typed));
  return plain ? typed : null;
}

/** Could one word be an id, though it does not look like one for sure? Then both ways are offered. */
export function mayBeId(text: string): boolean {
  const typed = text.trim();
  return /^[^\s:()"'*|/<>=]{4,}$/.test(typed) && /\d/.test(typed);
}

/** 4bf92f35…4736 */
export function shortenId(id: string): string {
  return id.length <= 14 ? id : `${id.slice(0, 8)}…${id.slice(-4)}`;
}
