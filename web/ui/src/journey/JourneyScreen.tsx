// The journey of an id: header, services, overview, waterfall, details.

import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useCallback } from "react";
import { Icon } from "../components/Icon";
import { Notice } from "../components/Tags";
import type { JourneyParams } from "../router";
import { lastSearch } from "../search/last";
import { visibleText } from "../text/visible";
import { useZone } from "../time/useZone";
import type { LoadedJourney } from "./load";
import { JourneyView } from "./JourneyView";
import { useJourney, type JourneyState } from "./useJourney";

export interface JourneyAddress {
  id: string;
  params: JourneyParams;
  change: (change: JourneyParams) => void;
}

export function JourneyScreen() {
  const { id } = useParams({ from: "/journey/$id" });
  const params = useSearch({ from: "/journey/$id" });
  const navigate = useNavigate({ from: "/journey/$id" });
  const zone = useZone();
  const state = useJourney(id, params.inferred !== "false", params.corrected === "true");
  const change = useCallback(
    (changed: JourneyParams) => {
      void navigate({ search: (before: JourneyParams) => ({ ...before, ...changed }), replace: true });
    },
    [navigate],
  );
  if (state.loaded) {
    return <JourneyView key={id} loaded={state.loaded as LoadedJourney} state={state} address={{ id, params, change }} zone={zone} />;
  }
  return state.error ? <Failed id={id} state={state} /> : <Loading id={id} />;
}

function Loading({ id }: { id: string }) {
  return (
    <div className="flex flex-1 items-center justify-center gap-3 text-muted" role="status">
      <span className="spin text-accent"><Icon name="refresh" size={16} /></span>
      <span>
        Stitching the journey of <bdi className="font-mono">{visibleText(id)}</bdi>
      </span>
    </div>
  );
}

function Failed({ id, state }: { id: string; state: JourneyState }) {
  const navigate = useNavigate();
  const unknown = state.error?.status === 404;
  return (
    <div className="mx-auto w-full max-w-xl px-6 py-12">
      <h1 className="text-lg font-semibold">{unknown ? "Nothing carries this id" : "The journey could not be loaded"}</h1>
      <p className="data mt-1 font-mono text-sm text-muted">{visibleText(id)}</p>
      {unknown ? (
        <p className="mt-3 text-muted">
          Every record of any age was asked: as a trace id, a span id and a request id, in all spellings. It may still be on its way, or stand in a text without being
          recognised as an id.
        </p>
      ) : (
        <div className="mt-3"><Notice tone="error"><span className="data">{visibleText(state.error?.message ?? "")}</span></Notice></div>
      )}
      <div className="mt-5 flex flex-wrap gap-2">
        <button type="button" className="button button-primary" onClick={state.reload}>Look again</button>
        <button type="button" className="button" onClick={() => void navigate({ to: "/", search: { q: `"${id.replaceAll('"', "")}"` } })}>Search for it as text</button>
        <button type="button" className="button" onClick={() => void navigate({ to: "/", search: lastSearch() })}>Back to the results</button>
      </div>
    </div>
  );
}
