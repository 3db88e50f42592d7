// The pages and what stands in their addresses. Parameters are plain text: ?q=timeout%20level:error&from=1h

import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { Shell } from "./components/Shell";
import { SearchScreen } from "./search/SearchScreen";

export interface SearchParams {
  q?: string;
  from?: string;
  to?: string;
  tz?: string;
  live?: string;
}

export interface JourneyParams {
  tz?: string;
  sel?: string;
  logs?: string;
  inferred?: string;
  corrected?: string;
}

function pick<Name extends string>(search: Record<string, unknown>, names: readonly Name[]): { [N in Name]?: string } {
  const picked: { [N in Name]?: string } = {};
  for (const name of names) {
    const value = search[name];
    if (typeof value === "string" && value !== "") picked[name] = value;
  }
  return picked;
}

const rootRoute = createRootRoute({ component: Shell });

const searchRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/",
  component: SearchScreen,
  validateSearch: (search: Record<string, unknown>): SearchParams => pick(search, ["q", "from", "to", "tz", "live"]),
});

const journeyRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/journey/$id",
  component: lazyRouteComponent(() => import("./journey/JourneyScreen"), "JourneyScreen"),
  validateSearch: (search: Record<string, unknown>): JourneyParams => pick(search, ["tz", "sel", "logs", "inferred", "corrected"]),
});

const servicesRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/services",
  component: lazyRouteComponent(() => import("./services/ServicesScreen"), "ServicesScreen"),
  validateSearch: (search: Record<string, unknown>): { tz?: string } => pick(search, ["tz"]),
});

export const router = createRouter({
  routeTree: rootRoute.addChildren([searchRoute, journeyRoute, servicesRoute]),
  defaultPreload: "intent",
  parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
  stringifySearch: (search) => {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(search)) {
      if (value !== undefined && value !== null && value !== "") query.set(name, String(value));
    }
    const text = query.toString();
    return text ? `?${text}` : "";
  },
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
