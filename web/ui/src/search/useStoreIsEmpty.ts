// Nothing found: is that because there is nothing at all? Then the reader needs the first steps, not search tips.

import { useQuery } from "@tanstack/react-query";
import { search } from "../api";

export function useStoreIsEmpty(nothingFound: boolean): boolean {
  const probe = useQuery({
    queryKey: ["store-is-empty"],
    queryFn: async ({ signal }) => (await search({ q: "*", limit: 1 }, signal)).records.length === 0,
    enabled: nothingFound,
    staleTime: 0,
    gcTime: 0,
  });
  return nothingFound && probe.data === true;
}
