// The way out, where there was one in.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { session, signOut } from "../api";
import { SESSION_KEY } from "./Gate";

export function SignOut() {
  const client = useQueryClient();
  const asked = useQuery({ queryKey: SESSION_KEY, queryFn: ({ signal }) => session(signal), staleTime: Infinity });
  const leave = async () => {
    const state = await signOut();
    // What one caller was answered is not shown to the next.
    client.removeQueries({ predicate: (query) => query.queryKey[0] !== SESSION_KEY[0] });
    client.setQueryData(SESSION_KEY, state);
  };
  if (!asked.data?.signed_in) return null;
  return (
    <button type="button" className="button" onClick={() => void leave()}>
      Sign out
    </button>
  );
}
