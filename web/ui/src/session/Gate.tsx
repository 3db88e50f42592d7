// What stands before every page: who asks, if the server wants to know, and a word when everybody may.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect } from "react";
import { ApiError, session } from "../api";
import { SignIn } from "./SignIn";

export const SESSION_KEY = ["session"] as const;

export function Gate({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const asked = useQuery({ queryKey: SESSION_KEY, queryFn: ({ signal }) => session(signal), staleTime: Infinity });
  // A session that ends while a page is open shows as a refusal of whatever the page asks next.
  useEffect(
    () =>
      client.getQueryCache().subscribe((event) => {
        const error = event.type === "updated" && event.action.type === "error" ? event.action.error : undefined;
        if (error instanceof ApiError && error.status === 401) void client.invalidateQueries({ queryKey: SESSION_KEY });
      }),
    [client],
  );
  if (asked.isPending) return null;
  if (asked.data?.needs_token && !asked.data.signed_in) return <SignIn />;
  return (
    <div className="flex h-full flex-col">
      {asked.data?.insecure && (
        <p role="alert" className="shrink-0 bg-error-soft px-4 py-1.5 text-sm text-error">
          Not protected: other machines can reach this server, and it asks for no token or encrypts nothing. Give it TLS and a token.
        </p>
      )}
      <div className="min-h-0 flex-1">{children}</div>
    </div>
  );
}
