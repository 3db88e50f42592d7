// The zone that times are shown in: the address says it, else the reader's last choice, else the browser's.

import { useNavigate, useSearch } from "@tanstack/react-router";
import { isZone, type Zone } from "./instant";

const STORAGE_KEY = "needle.zone";

function storedZone(): Zone {
  try {
    const stored = localStorage.getItem(STORAGE_KEY);
    return stored && isZone(stored) ? stored : "local";
  } catch {
    return "local";
  }
}

export function useZone(): Zone {
  const { tz } = useSearch({ strict: false });
  return tz && isZone(tz) ? tz : storedZone();
}

export function useSetZone(): (zone: Zone) => void {
  const navigate = useNavigate();
  return (zone) => {
    try {
      if (zone === "local") localStorage.removeItem(STORAGE_KEY);
      else localStorage.setItem(STORAGE_KEY, zone);
    } catch {
      // The address holds it.
    }
    void navigate({
      to: ".",
      search: ({ tz: _tz, ...before }: { tz?: string }) => (zone === "local" ? before : { ...before, tz: zone }),
      replace: true,
    });
  };
}
