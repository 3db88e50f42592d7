import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

// Where the API is while developing: a running needle, or the mock in this process.
const needleUrl = process.env["NEEDLE_URL"];
const isTest = process.env["VITEST"] !== undefined;

function mockApi(): Plugin {
  const load = async () => {
    const mock = new URL("./dev/mock/api.mjs", import.meta.url).href;
    return (await import(mock)).mockApi();
  };
  return {
    name: "mock-api",
    async configureServer(server) {
      server.middlewares.use(await load());
    },
    async configurePreviewServer(server) {
      server.middlewares.use(await load());
    },
  };
}

const proxy = { "/api": { target: needleUrl ?? "" } };

export default defineConfig({
  base: "/",
  plugins: [react(), tailwindcss(), ...(needleUrl || isTest ? [] : [mockApi()])],
  server: needleUrl ? { proxy } : {},
  preview: needleUrl ? { proxy } : {},
  build: {
    target: "es2022",
    // A strict content security policy allows neither inline scripts nor data: addresses.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
} as Parameters<typeof defineConfig>[0]);
