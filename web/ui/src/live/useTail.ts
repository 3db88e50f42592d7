// Follows new records by server-sent events. The browser reconnects by itself and says where it stood.

import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, parseJson, search, tailAddress, type LogOrSpan } from "../api";
import type { ResultItem } from "../search/ResultList";
import { Ring } from "./ring";

export type Connection = "connecting" | "connected" | "reconnecting" | "failed";

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
    const source = new EventSource(tailAddress(q));
    source.addEventListener("open", () => setConnection("connected"));
    source.addEventListener("record", (event) => {
      arrivals.current.push(performance.now());
      ring.current.record(parseJson(event.data as string) as LogOrSpan);
    });
    source.addEventListener("gap", (event) => {
      ring.current.gap(Number((parseJson(event.data as string) as { skipped?: number }).skipped ?? 0));
    });
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED) {
        setConnection("reconnecting");
        return;
      }
      setConnection("failed");
      // An event source does not say why; the same query, asked once, does.
      search({ q, limit: 1 }).catch((cause: unknown) => setError(cause instanceof ApiError ? cause : null));
    });
    const timer = setInterval(paint, PAINT_EVERY_MS);
    return () => {
      clearInterval(timer);
      source.close();
    };
  }, [q, paint]);

  const clear = useCallback(() => {
    ring.current.clear();
    paint();
  }, [paint]);
  return { ...state, connection, error, clear };
}
