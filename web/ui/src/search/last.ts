// The last search, so that "back" and the navigation return to it.

import type { SearchParams } from "../router";

let last: SearchParams = {};

export function rememberSearch(search: SearchParams): void {
  last = search;
}

export function lastSearch(): SearchParams {
  return last;
}
