// Follows new records by server-sent events. A lost connection is taken up where it stood, also after a restart of the server.

import { ApiError, parseJson, search, tailAddress, type LogOrSpan } from "../api";

export type Connection = "connecting" | "connected" | "reconnecting" | "failed";

export interface TailListener {
  onRecord: (record: LogOrSpan) => void;
  onGap: (skipped: number) => void;
  onConnection: (connection: Connection) => void;
  /** The server does not take this query; nothing more will come. */
  onRefused: (error: ApiError) => void;
}

const RETRY_MS = 2_000;

/** Answers how to stop. */
export function follow(q: string, listener: TailListener): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  let cursor: string | undefined;

  const open = () => {
    source = new EventSource(tailAddress(q, cursor));
    const remember = (event: MessageEvent) => {
      if (event.lastEventId !== "") cursor = event.lastEventId;
    };
    source.addEventListener("open", () => listener.onConnection("connected"));
    source.addEventListener("heartbeat", remember);
    source.addEventListener("record", (event) => {
      remember(event);
      listener.onRecord(parseJson(event.data as string) as LogOrSpan);
    });
    source.addEventListener("gap", (event) => {
      remember(event);
      listener.onGap(Number((parseJson(event.data as string) as { skipped?: number }).skipped ?? 0));
    });
    source.addEventListener("error", () => {
      if (stopped) return;
      listener.onConnection("reconnecting");
      // The browser tries again by itself, unless the server answered something else than a stream.
      if (source?.readyState === EventSource.CLOSED) void findOutWhy();
    });
  };

  /** An event source does not say why it was refused; the same query, asked once, does. */
  const findOutWhy = async () => {
    try {
      await search({ q, limit: 1 });
    } catch (cause) {
      if (!stopped && cause instanceof ApiError && cause.status >= 400 && cause.status < 500) {
        listener.onConnection("failed");
        listener.onRefused(cause);
        return;
      }
    }
    if (!stopped) timer = setTimeout(open, RETRY_MS);
  };

  open();
  return () => {
    stopped = true;
    clearTimeout(timer);
    source?.close();
  };
}
