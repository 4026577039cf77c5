/**
 * One worker process of graphile-worker: tasks start, finish and simple.
 *
 * One byte into BENCH_DONE_FD says that a job is complete. Ends when stdin closes.
 */
import { writeSync } from "node:fs";
import { run } from "graphile-worker";
import pg from "pg";

import { preset } from "./preset.mjs";
import { Provider, execute, startRequest } from "./work.mjs";

const CONNECTIONS = 24;
const OVERTAKEN_PAUSE_MS = 2;
const OVERTAKEN_LIMIT_MS = 10_000;

const env = process.env;
const pool = new pg.Pool({ connectionString: env.BENCH_DATABASE_URL, max: CONNECTIONS });
const provider = new Provider(env.BENCH_PROVIDER_URL, preset.worker.concurrentJobs);
const doneFd = Number(env.BENCH_DONE_FD);
const tellDone = () => writeSync(doneFd, ".");

async function start({ jobId }) {
  const request = startRequest(env.BENCH_CALLBACK_URL, jobId);
  await execute(pool, "record_step", [jobId, 5, "starting", "request", request]);
  const response = await provider.start(request);
  if (!JSON.parse(response).taskId) throw new Error(`the provider refused job ${jobId}`);
  await execute(pool, "record_step", [jobId, 6, "running", "response", response]);
}

async function finish({ jobId, taskId }) {
  const reply = await provider.query(taskId);
  const until = Date.now() + OVERTAKEN_LIMIT_MS;
  // No row: the callback overtook the commit of the start call's reply.
  while (!(await execute(pool, "record_completed", [jobId, reply])).rowCount) {
    if (Date.now() > until) throw new Error(`the start of job ${jobId} was never kept`);
    await new Promise((resolve) => setTimeout(resolve, OVERTAKEN_PAUSE_MS));
  }
  tellDone();
}

async function simple({ jobId }) {
  for (let place = 1; place <= 8; place++) {
    await execute(pool, "record_simple", [jobId, place]);
  }
  tellDone();
}

process.stdin.on("end", () => process.exit(0)).resume();
const runner = await run({ preset, taskList: { start, finish, simple }, noHandleSignals: true });
console.log("ready");
await runner.promise;
