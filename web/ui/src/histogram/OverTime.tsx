// The counts of the search, and the way back from what was chosen in them.

import { useRef } from "react";
import type { ResolvedRange, TimeRange } from "../time/range";
import { useZone } from "../time/useZone";
import { Histogram } from "./Histogram";
import { useHistogram } from "./useHistogram";

interface OverTimeProps {
  q: string;
  range: TimeRange;
  resolved: ResolvedRange;
  run: number;
  onRange: (range: TimeRange) => void;
}

export default function OverTime({ q, range, resolved, run, onRange }: OverTimeProps) {
  const zone = useZone();
  const before = useRef<TimeRange[]>([]);
  const counts = useHistogram(q, resolved, run);
  return (
    <Histogram
      counts={counts}
      range={resolved}
      zone={zone}
      onRange={(next) => {
        before.current.push(range);
        onRange(next);
      }}
      onBack={() => {
        const last = before.current.pop();
        if (last) onRange(last);
      }}
    />
  );
}
