// Asks for a token once. It goes to the server and nowhere else: what stays in the browser is a cookie that no script can read.

import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { signIn } from "../api";
import { Logo } from "../components/Icon";
import { SESSION_KEY } from "./Gate";

export function SignIn() {
  const client = useQueryClient();
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState<string>();
  const [pending, setPending] = useState(false);
  const show = async () => {
    setPending(true);
    try {
      const session = await signIn(token.trim());
      // What one caller was answered is not shown to the next.
      client.removeQueries({ predicate: (query) => query.queryKey[0] !== SESSION_KEY[0] });
      client.setQueryData(SESSION_KEY, session);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
      setPending(false);
    }
  };
  return (
    <main className="flex h-full items-center justify-center px-4">
      <form
        className="w-full max-w-md rounded-lg border border-line bg-surface p-6"
        onSubmit={(event) => {
          event.preventDefault();
          if (token.trim()) void show();
        }}
      >
        <h1 className="flex items-center gap-2 text-lg font-semibold tracking-tight">
          <Logo />
          needle
        </h1>
        <p className="mt-3 text-muted">
          This server answers to those who show a token. On its machine, <code className="font-mono">needle token create --scope read</code> makes one.
        </p>
        <label htmlFor="token" className="mt-4 block text-sm font-medium">
          Token
        </label>
        <input
          id="token"
          type="password"
          className="field mt-1 w-full font-mono"
          autoComplete="current-password"
          autoCapitalize="off"
          spellCheck={false}
          placeholder="ndl_read_…"
          value={token}
          onChange={(event) => setToken(event.target.value)}
          aria-invalid={problem !== undefined}
          aria-describedby="token-problem"
        />
        <p id="token-problem" role="alert" className="mt-2 min-h-5 text-sm text-error">
          {problem}
        </p>
        <button type="submit" className="button button-primary mt-2" disabled={!token.trim() || pending}>
          Sign in
        </button>
      </form>
    </main>
  );
}
