// The first page of an empty store: where needle listens, what to send, and a sign of life when it comes.

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { search, sendLog } from "../api";
import { CopyButton } from "../components/Copy";
import { Icon } from "../components/Icon";
import { snippets } from "./snippets";

const ASK_EVERY_MS = 1_500;

export default function Welcome({ onArrived }: { onArrived: () => void }) {
  const first = useQuery({
    queryKey: ["first-record"],
    queryFn: async ({ signal }) => (await search({ q: "*", limit: 1 }, signal)).records.length > 0,
    refetchInterval: ASK_EVERY_MS,
    gcTime: 0,
  });
  const arrived = first.data === true;
  useEffect(() => {
    if (arrived) onArrived();
  }, [arrived, onArrived]);
  return (
    <div className="min-h-0 flex-1 overflow-y-auto">
      <div className="mx-auto max-w-3xl px-4 py-10 sm:px-6">
        <h2 className="text-xl font-semibold tracking-tight">Nothing here yet. Send the first record.</h2>
        <p className="mt-1 max-w-xl text-muted">
          Send traces, logs, or only log lines that carry a request id. needle puts them into one journey.
        </p>
        <Ports />
        <Snippets />
        <Waiting failed={first.isError} />
      </div>
    </div>
  );
}

function Ports() {
  const here = location.port || (location.protocol === "https:" ? "443" : "80");
  const ports = [
    ["OTLP/gRPC", "4317", "unless needle was told otherwise"],
    ["OTLP/HTTP", here, "and 4318, unless told otherwise"],
    ["Log lines, this page, the API", here, "JSON lines, plain text"],
  ];
  return (
    <dl className="mt-6 grid gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-3">
      {ports.map(([name, port, takes]) => (
        <div key={name} className="bg-surface px-4 py-3">
          <dt className="text-sm text-muted">{name}</dt>
          <dd className="font-mono text-lg">:{port}</dd>
          <dd className="text-sm text-faint">{takes}</dd>
        </div>
      ))}
    </dl>
  );
}

function Snippets() {
  const all = snippets(location.hostname, location.origin);
  const [chosen, setChosen] = useState(all[0]?.name);
  const snippet = all.find((one) => one.name === chosen) ?? all[0];
  if (!snippet) return null;
  return (
    <section className="mt-6 overflow-hidden rounded-lg border border-line bg-surface">
      <div role="group" aria-label="Ways to send" className="flex gap-1 overflow-x-auto border-b border-line p-1.5">
        {all.map((one) => (
          <button key={one.name} type="button" aria-pressed={one.name === snippet.name} className="segment h-7" onClick={() => setChosen(one.name)}>
            {one.name}
          </button>
        ))}
      </div>
      <div className="flex items-start gap-2 px-4 pt-3">
        <p className="flex-1 text-sm text-muted">{snippet.about}</p>
        <CopyButton text={snippet.text} label="Copy snippet" />
      </div>
      {/* Long lines scroll; the keyboard must be able to, too. */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre tabIndex={0} className="overflow-x-auto px-4 pt-2 pb-4 font-mono text-sm leading-5">{snippet.text}</pre>
    </section>
  );
}

function Waiting({ failed }: { failed: boolean }) {
  const [problem, setProblem] = useState("");
  const send = () => {
    setProblem("");
    const record = { service: "hello", level: "info", message: "first light", request_id: "req-000001" };
    sendLog(record).catch((cause: unknown) => setProblem(cause instanceof Error ? cause.message : String(cause)));
  };
  return (
    <div className="mt-6 flex flex-wrap items-center gap-3">
      <span className="inline-flex items-center gap-2 text-muted" role="status">
        <span className={failed ? "text-error" : "spin text-accent"}><Icon name={failed ? "broken" : "refresh"} /></span>
        {failed ? "needle does not answer; still asking." : "Waiting for the first record."}
      </span>
      <button type="button" className="button" onClick={send}>Send a test record from here</button>
      {problem && <span className="text-error">{problem}</span>}
      <span className="text-sm text-faint">
        No application at hand? <code className="font-mono">needle demo</code> runs a small shop.
      </span>
    </div>
  );
}
