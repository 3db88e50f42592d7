// Keys and the query language on one page.

import { useEffect, useRef } from "react";
import { useHotkeys } from "../keys/hotkeys";
import { Icon } from "./Icon";

const KEYS: readonly [string, readonly [string, string][]][] = [
  ["Everywhere", [["/", "search"], ["Esc", "back, close"], ["?", "this page"]]],
  ["Lists", [["j k", "next, previous row"], ["Enter", "open the row"], ["l", "live on or off"], ["o", "open its journey"], ["Space", "pause live"]]],
  ["Counts over time", [["← →", "previous, next bar; with Shift more of them"], ["Enter", "search that time"]]],
  [
    "Journey",
    [["e E", "next, previous error"], ["g", "next silent gap"], ["n p", "next, previous match"], ["[ ]", "collapse, expand one level"], ["← →", "collapse, expand a row"], ["w s", "zoom in, out"], ["a d", "pan"], ["f", "fit the selection"], ["0", "whole journey"]],
  ],
];

export const EXAMPLES: readonly [string, string][] = [
  ["timeout payment", "both words, any case; timeo* is a prefix"],
  ['"connection refused"', "a phrase"],
  ["service:checkout level>=warn", "fields and levels"],
  ["duration>500ms kind:span", "slow spans"],
  ["http.response.status_code>=500", "any attribute, compared as a number"],
  ["-service:web (timeout OR refused)", "not, or, brackets"],
  ["/conn(ection)? refused/", "a regular expression"],
];

export function HelpDialog({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  useHotkeys({ Escape: close, "?": close });
  return (
    <dialog ref={dialog} aria-labelledby="help-title" className="pop max-h-[85vh] w-[min(760px,calc(100vw-24px))] p-0" onClose={close}>
      <div className="flex items-center border-b border-line px-5 py-3">
        <h2 id="help-title" className="text-lg font-semibold">Help</h2>
        <button type="button" className="icon-button ml-auto" aria-label="Close" onClick={close}>
          <Icon name="close" />
        </button>
      </div>
      <div className="grid gap-x-8 gap-y-5 p-5 sm:grid-cols-2">
        <div className="space-y-5">
          {KEYS.map(([title, keys]) => (
            <section key={title}>
              <h3 className="mb-1.5 text-sm font-semibold text-muted">{title}</h3>
              <dl className="grid grid-cols-[72px_1fr] items-center gap-y-1 text-sm">
                {keys.map(([key, does]) => (
                  <div key={key} className="contents">
                    <dt className="flex gap-1">{key.split(" ").map((one) => <kbd key={one} className="key">{one}</kbd>)}</dt>
                    <dd>{does}</dd>
                  </div>
                ))}
              </dl>
            </section>
          ))}
        </div>
        <section>
          <h3 className="mb-1.5 text-sm font-semibold text-muted">Asking</h3>
          <p className="mb-2 text-sm text-muted">
            Paste any id (trace, request, correlation, a whole traceparent) and press Enter: its journey opens, however old it is.
          </p>
          <dl className="space-y-2 text-sm">
            {EXAMPLES.map(([query, does]) => (
              <div key={query}>
                <dt className="font-mono text-text">{query}</dt>
                <dd className="text-muted">{does}</dd>
              </div>
            ))}
          </dl>
        </section>
      </div>
    </dialog>
  );
}
