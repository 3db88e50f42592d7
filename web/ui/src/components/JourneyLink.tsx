import { Link, useSearch } from "@tanstack/react-router";
import type { ReactNode } from "react";

interface JourneyLinkProps {
  id: string;
  children: ReactNode;
  className?: string;
  title?: string;
  tabIndex?: number;
}

/** A link to the journey of an id; the time zone goes along. */
export function JourneyLink({ id, children, className = "text-accent hover:underline", title, tabIndex }: JourneyLinkProps) {
  const { tz } = useSearch({ strict: false });
  return (
    <Link
      to="/journey/$id"
      params={{ id }}
      search={tz ? { tz } : {}}
      className={className}
      preload={false}
      title={title}
      tabIndex={tabIndex}
      onClick={(event) => event.stopPropagation()}
    >
      {children}
    </Link>
  );
}
