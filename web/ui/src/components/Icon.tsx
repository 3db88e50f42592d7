// All icons, drawn on a grid of 16; they take the colour of the text.

const PATHS = {
  search: "M7 12.2A5.2 5.2 0 1 0 7 1.8a5.2 5.2 0 0 0 0 10.4zM10.8 10.8 14.5 14.5",
  chevron: "M6 3.5 10.5 8 6 12.5",
  down: "M3.5 6 8 10.5 12.5 6",
  back: "M13.5 8h-11M7 3.5 2.5 8 7 12.5",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  check: "M2.5 8.5 6.5 12.5 13.5 4",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  clock: "M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4zM8 4.5V8l2.5 1.5",
  log: "M2.5 4h11M2.5 8h11M2.5 12h6.5",
  span: "M1.5 4.5h9M4.5 8h10M4.5 11.5h5",
  error: "M8 1.8 14.6 13.5H1.4zM8 6.2v3.6M8 11.7v.1",
  info: "M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4zM8 7.3v3.9M8 4.9v.1",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1.2v1.6M8 13.2v1.6M1.2 8h1.6M13.2 8h1.6M3.2 3.2l1.1 1.1M11.7 11.7l1.1 1.1M12.8 3.2l-1.1 1.1M4.3 11.7l-1.1 1.1",
  moon: "M13.8 9.6A6 6 0 0 1 6.4 2.2a6 6 0 1 0 7.4 7.4z",
  system: "M1.8 2.8h12.4v8.4H1.8zM5.5 13.8h5",
  help: "M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4zM6.2 6.3c0-1 .8-1.8 1.8-1.8s1.8.7 1.8 1.7c0 1.3-1.8 1.3-1.8 2.7M8 11.3v.1",
  link: "M6.7 9.3 9.3 6.7M7.3 4.7l1.9-1.9a2.8 2.8 0 0 1 4 4l-1.9 1.9M8.7 11.3l-1.9 1.9a2.8 2.8 0 0 1-4-4l1.9-1.9",
  journey: "M2 3.5h6M5 8h9M8 12.5h4",
  refresh: "M13.5 8a5.5 5.5 0 1 1-1.7-4M13.5 1.8v3h-3",
  pause: "M5.5 3v10M10.5 3v10",
  play: "M4.5 2.8v10.4L13 8z",
  up: "M8 13V3.5M3.8 7.5 8 3.2l4.2 4.3",
  broken: "M2 8h3.5M10.5 8H14M6.5 5l-1-2.2M9.5 11l1 2.2M9.5 5l1-2.2M6.5 11l-1 2.2",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 14 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      className="shrink-0"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The mark of needle: a needle drawing its thread. */
export function Logo() {
  return (
    <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true" className="shrink-0">
      <path d="M3 21c4-8 8 6 12-2s0-10 8-11" fill="none" stroke="var(--thread)" strokeWidth="2.6" strokeLinecap="round" />
      <path d="M6 28 24.5 7.5c1.8-2 3.7-1.6 3.3.6-.2 1-.8 1.7-1.6 2.5z" fill="var(--text)" />
    </svg>
  );
}
