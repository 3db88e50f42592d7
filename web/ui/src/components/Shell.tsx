// The frame of every page: where you are, where you can go, how it looks.

import { Link, Outlet, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useHotkeys } from "../keys/hotkeys";
import { lastSearch } from "../search/last";
import { SignOut } from "../session/SignOut";
import { HelpDialog } from "./HelpDialog";
import { Icon, Logo } from "./Icon";
import { ThemeMenu } from "./ThemeMenu";
import { ZoneMenu } from "./ZoneMenu";

const NAV = "rounded-md px-2.5 py-1 text-sm font-medium text-muted hover:bg-hover hover:text-text";
const NAV_ACTIVE = { className: "bg-accent-soft !text-accent-strong" };

export function Shell() {
  const [help, setHelp] = useState(false);
  const navigate = useNavigate();
  useHotkeys({
    "?": () => setHelp(true),
    "/": () => {
      const box = document.getElementById("query");
      if (box) box.focus();
      else void navigate({ to: "/", search: lastSearch() });
    },
  });
  return (
    <div className="flex h-full flex-col">
      <a href="#main" className="button skip-link">Skip to content</a>
      <header className="flex h-12 shrink-0 items-center gap-1 border-b border-line bg-surface px-3 sm:px-4">
        <Link to="/" className="mr-1 flex items-center gap-2 rounded-md pr-1 sm:mr-4" aria-label="needle, home">
          <Logo />
          <span className="hidden text-lg font-semibold tracking-tight sm:inline">needle</span>
        </Link>
        <nav aria-label="Pages" className="flex gap-0.5">
          <Link to="/" search={lastSearch()} className={NAV} activeProps={NAV_ACTIVE} activeOptions={{ exact: true, includeSearch: false }}>
            Search
          </Link>
          <Link to="/services" className={NAV} activeProps={NAV_ACTIVE} activeOptions={{ includeSearch: false }}>
            Services
          </Link>
        </nav>
        <div className="ml-auto flex items-center gap-0.5">
          <SignOut />
          <ZoneMenu />
          <ThemeMenu />
          <button type="button" className="icon-button" aria-label="Help and keyboard" title="Help and keyboard (?)" onClick={() => setHelp(true)}>
            <Icon name="help" size={16} />
          </button>
        </div>
      </header>
      <main id="main" tabIndex={-1} className="flex min-h-0 flex-1 flex-col outline-none">
        <Outlet />
      </main>
      {help && <HelpDialog close={() => setHelp(false)} />}
    </div>
  );
}
