// Suggestions for the query box. They are never waited for: the query runs as it stands.

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { fields, fieldValues } from "../api";
import { fieldsFor, hasFewValues, textOfField, textOfValue, type Asked } from "../query/complete";

export interface Suggestion {
  /** What is shown, and what is put in the place of what was typed. */
  label: string;
  text: string;
  count: number;
  /** Whether the count may be too small. */
  atLeast: boolean;
}

const FIELDS_STALE_MS = 60_000;
const TYPING_MS = 150;
const VALUES_MAX = 8;

/** What a record is: in no list of fields, as it is none. */
const KIND = { name: "kind", type: "string", count: 0 };

export function useSuggestions(asked: Asked | null): readonly Suggestion[] {
  const known = useQuery({
    queryKey: ["fields"],
    queryFn: async ({ signal }) => [...(await fields(signal)).fields, KIND],
    enabled: asked !== null,
    staleTime: FIELDS_STALE_MS,
    retry: false,
  });
  const field = asked?.field ?? null;
  const settled = useSettled(asked?.typed ?? "");
  const values = useQuery({
    queryKey: ["values", field, settled],
    // A question that is out of date is cancelled by its signal.
    queryFn: ({ signal }) => fieldValues(field ?? "", settled, VALUES_MAX, signal),
    enabled: field !== null && known.data !== undefined && hasFewValues(field, known.data),
    placeholderData: (before, query) => (query?.queryKey[1] === field ? before : undefined),
    retry: false,
  });
  if (asked === null) return [];
  if (field === null) {
    return fieldsFor(asked.typed, known.data ?? []).map((one) => ({ label: one.name, text: textOfField(one), count: one.count, atLeast: false }));
  }
  const { values: found = [], exact = true } = values.data ?? {};
  return found
    .filter((one) => one.value.toLowerCase().startsWith(asked.typed.toLowerCase()) && one.value !== asked.typed)
    .map((one) => ({ label: one.value, text: textOfValue(one.value), count: one.count, atLeast: !exact }));
}

function useSettled(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}
