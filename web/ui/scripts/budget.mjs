// Fails when the built UI outgrows its budget: the first load and everything together, gzip.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const FIRST_BYTES_MAX = 150_000;
const TOTAL_BYTES_MAX = 500_000;

const dist = new URL("../dist/", import.meta.url).pathname;
const gzipBytes = (path) => gzipSync(readFileSync(path), { level: 9 }).length;

// index.html names the entry, its style sheet and every chunk the entry imports.
const html = readFileSync(join(dist, "index.html"), "utf8");
const first = new Set(["index.html", ...[...html.matchAll(/(?:src|href)="\/([^"]+)"/g)].map((match) => match[1])]);

const files = readdirSync(dist, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name));

let total = 0;
let firstTotal = 0;
for (const path of files.sort()) {
  const name = path.slice(dist.length);
  const bytes = gzipBytes(path);
  total += bytes;
  if (first.has(name)) firstTotal += bytes;
  console.log(`${String(bytes).padStart(8)}  ${first.has(name) ? "first" : "later"}  ${name}`);
}
console.log(`first ${firstTotal} of ${FIRST_BYTES_MAX}, total ${total} of ${TOTAL_BYTES_MAX} bytes gzip`);
if (firstTotal > FIRST_BYTES_MAX || total > TOTAL_BYTES_MAX) {
  console.error("over budget");
  process.exit(1);
}
