/**
 * The web process of graphile-worker: submits, and the callbacks' HTTP edge.
 *
 * Prints {"callback_url": ...} when it listens. On stdin: {"kind": "full" or "simple", "first",
 * "jobs", "in_flight"}, answered by {} when all are submitted. Ends when stdin closes.
 */
import http from "node:http";
import { createInterface } from "node:readline";
import { runMigrations } from "graphile-worker";
import pg from "pg";

import { preset } from "./preset.mjs";
import { execute, readAll } from "./work.mjs";

const CONNECTIONS = 16;
const STATEMENTS = { full: "graphile_submit", simple: "graphile_submit_simple" };

const pool = new pg.Pool({ connectionString: process.env.BENCH_DATABASE_URL, max: CONNECTIONS });

async function submitAll({ kind, first, jobs, in_flight: inFlight }) {
  let next = first;
  const submitEach = async () => {
    while (next < first + jobs) await execute(pool, STATEMENTS[kind], [next++]);
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, jobs) }, submitEach));
}

async function receive(request, response) {
  const jobId = request.url.slice("/callback/".length);
  const body = await readAll(request);
  await execute(pool, "graphile_carry_on", [jobId, JSON.parse(body).taskId, body]);
  response.end();
}

const say = (answer) => console.log(JSON.stringify(answer));

await runMigrations({ preset });
const server = http.createServer((request, response) => {
  receive(request, response).catch((error) => {
    console.error(error);
    response.writeHead(500).end();
  });
});
server.listen(Number(process.env.BENCH_LISTEN_PORT), "127.0.0.1", 1024, () => {
  say({ callback_url: `http://127.0.0.1:${server.address().port}/callback` });
});

for await (const line of createInterface({ input: process.stdin })) {
  await submitAll(JSON.parse(line));
  say({});
}
process.exit(0);
