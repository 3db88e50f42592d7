// Serves the built UI and the mock API on one port, under the content security policy the UI is made for.
//   node dev/mock.mjs [--port 7118] [--empty]
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { mockApi } from "./mock/api.mjs";
import { IDS } from "./mock/store.mjs";

const dist = fileURLToPath(new URL("../dist", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
export const POLICY =
  "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

async function serveFile(request, response) {
  const path = normalize(new URL(request.url, "http://mock").pathname);
  const name = extname(path) in TYPES ? path : "/index.html";
  try {
    const bytes = await readFile(join(dist, name));
    response.writeHead(200, { "content-type": TYPES[extname(name)], "content-security-policy": POLICY, "x-content-type-options": "nosniff" });
    response.end(bytes);
  } catch {
    response.writeHead(404).end("not found (has `npm run build` been run?)");
  }
}

/** Starts the server; answers its address and how to stop it. */
export async function startMock({ port = 0, empty = false } = {}) {
  const api = mockApi({ empty });
  const server = createServer((request, response) => api(request, response, () => serveFile(request, response)));
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf("--port");
  const { url } = await startMock({ port: at > 0 ? Number(process.argv[at + 1]) : 7118, empty: process.argv.includes("--empty") });
  console.log(`mock on ${url}`);
  for (const [name, id] of Object.entries(IDS)) console.log(`  ${name.padEnd(9)} ${url}/journey/${id}`);
}
