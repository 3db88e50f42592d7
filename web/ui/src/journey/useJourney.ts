// The journey of the address, loaded page by page, and again while records still arrive.

import { useEffect, useState } from "react";
import { ApiError } from "../api";
import { loadJourney, type LoadedJourney } from "./load";

export interface JourneyState {
  loaded: LoadedJourney | null;
  error: ApiError | null;
  loading: boolean;
  reload: () => void;
}

const ARRIVING_RELOAD_MS = 2_500;
/** Larger journeys are loaded again only when the reader asks. */
const ARRIVING_NODES_MAX = 5_000;

export function useJourney(id: string, inferred: boolean, corrected: boolean): JourneyState {
  const question = `${id} ${inferred} ${corrected}`;
  const [run, setRun] = useState(0);
  const [state, setState] = useState<{ question: string; loaded: LoadedJourney | null; error: ApiError | null; loading: boolean }>({
    question,
    loaded: null,
    error: null,
    loading: true,
  });

  useEffect(() => {
    const abort = new AbortController();
    // The same journey asked in another way stays on the page until the answer comes; another journey does not.
    setState((before) => ({
      question,
      loaded: before.question.startsWith(`${id} `) ? before.loaded : null,
      error: null,
      loading: true,
    }));
    const load = async () => {
      try {
        for await (const loaded of loadJourney({ id, inferred, corrected }, abort.signal)) {
          if (abort.signal.aborted) return;
          setState({ question, loaded, error: null, loading: !loaded.finished });
        }
      } catch (cause) {
        if (abort.signal.aborted) return;
        const error = cause instanceof ApiError ? cause : new ApiError(0, String(cause));
        setState((before) => ({ ...before, error, loading: false }));
      }
    };
    void load();
    return () => abort.abort();
  }, [id, inferred, corrected, question, run]);

  const arriving = state.loaded?.head.completeness.state === "arriving" && !state.loading && !state.error;
  const small = (state.loaded?.model.count ?? 0) <= ARRIVING_NODES_MAX;
  useEffect(() => {
    if (!arriving || !small) return;
    const timer = setTimeout(() => setRun((n) => n + 1), ARRIVING_RELOAD_MS);
    return () => clearTimeout(timer);
  }, [arriving, small, state.loaded]);

  return { loaded: state.loaded, error: state.error, loading: state.loading, reload: () => setRun((n) => n + 1) };
}
