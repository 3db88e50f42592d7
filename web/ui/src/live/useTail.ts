// The state of a tail for React, painted a few times a second however fast records come.

import { useCallback, useEffect, useRef, useState } from "react";
import type { ApiError } from "../api";
import type { ResultItem } from "../search/ResultList";
import { follow, type Connection } from "./follow";
import { Ring } from "./ring";

export interface Tail {
  items: readonly ResultItem[];
  waiting: number;
  connection: Connection;
  error: ApiError | null;
  /** Records received per second, over the last five seconds. */
  rate: number;
  clear: () => void;
}

const PAINT_EVERY_MS = 150;
const RATE_WINDOW_MS = 5_000;

export function useTail(q: string, paused: boolean): Tail {
  const ring = useRef(new Ring());
  const arrivals = useRef<number[]>([]);
  const pausedNow = useRef(paused);
  const [state, setState] = useState<{ items: readonly ResultItem[]; waiting: number; rate: number }>({ items: [], waiting: 0, rate: 0 });
  const [connection, setConnection] = useState<Connection>("connecting");
  const [error, setError] = useState<ApiError | null>(null);

  const paint = useCallback(() => {
    if (!pausedNow.current) ring.current.flush();
    const since = performance.now() - RATE_WINDOW_MS;
    arrivals.current = arrivals.current.filter((time) => time > since);
    const next = { items: ring.current.items, waiting: ring.current.waitingCount, rate: arrivals.current.length / (RATE_WINDOW_MS / 1000) };
    setState((before) => (before.items === next.items && before.waiting === next.waiting && before.rate === next.rate ? before : next));
  }, []);

  useEffect(() => {
    pausedNow.current = paused;
    paint();
  }, [paused, paint]);

  useEffect(() => {
    ring.current.clear();
    setConnection("connecting");
    setError(null);
    const stop = follow(q, {
      onRecord: (record) => {
        arrivals.current.push(performance.now());
        ring.current.record(record);
      },
      onGap: (skipped) => ring.current.gap(skipped),
      onConnection: setConnection,
      onRefused: setError,
    });
    const timer = setInterval(paint, PAINT_EVERY_MS);
    return () => {
      clearInterval(timer);
      stop();
    };
  }, [q, paint]);

  const clear = useCallback(() => {
    ring.current.clear();
    paint();
  }, [paint]);
  return { ...state, connection, error, clear };
}
