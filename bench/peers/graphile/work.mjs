/** The hand-written part for graphile-worker, in Node: the statements and calls of work.py. */
import { readFileSync } from "node:fs";
import http from "node:http";

export const BODY_BYTES = 2048;

const sql = (name) => ({
  name,
  text: readFileSync(new URL(`../sql/${name}.sql`, import.meta.url), "utf8"),
});

const STATEMENTS = Object.fromEntries(
  [
    "graphile_submit",
    "graphile_submit_simple",
    "graphile_carry_on",
    "record_step",
    "record_completed",
    "record_simple",
  ].map((name) => [name, sql(name)]),
);

/** Run the statement in sql/<name>.sql, prepared, in a transaction of its own; return its rows. */
export async function execute(pool, name, values) {
  return pool.query({ ...STATEMENTS[name], values });
}

/** The provider's two calls over kept connections. */
export class Provider {
  constructor(url, connections) {
    this.url = new URL(url);
    this.agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  }

  start(request) {
    return this.post("/openapi/v2/run/ai-app/1", request);
  }

  async query(taskId) {
    const reply = await this.post("/openapi/v2/query", Buffer.from(JSON.stringify({ taskId })));
    if (JSON.parse(reply).status !== "SUCCESS") {
      throw new Error(`the provider does not confirm task ${taskId}`);
    }
    return reply;
  }

  post(path, body) {
    const options = {
      agent: this.agent,
      method: "POST",
      host: this.url.hostname,
      port: this.url.port,
      path,
      headers: {
        Authorization: "Bearer bench",
        "Content-Type": "application/json",
        "Content-Length": body.length,
      },
    };
    return new Promise((resolve, reject) => {
      const request = http.request(options, (response) => {
        readAll(response).then((raw) => {
          if (response.statusCode === 200) resolve(raw);
          else reject(new Error(`the provider answered ${response.statusCode} to ${path}`));
        }, reject);
      });
      request.on("error", reject);
      request.end(body);
    });
  }
}

/** Return all bytes of a request or response. */
export function readAll(stream) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    stream.on("data", (chunk) => chunks.push(chunk));
    stream.on("end", () => resolve(Buffer.concat(chunks)));
    stream.on("error", reject);
  });
}

/** Return the body of the start call, 2 KB long; `ref=` is how the stub names its arrival. */
export function startRequest(callbackUrl, jobId) {
  const node = { nodeId: "1", fieldName: "text", fieldValue: `ref=${jobId} ` };
  const body = { nodeInfoList: [node], webhookUrl: `${callbackUrl}/${jobId}` };
  node.fieldValue += "x".repeat(BODY_BYTES - JSON.stringify(body).length);
  return Buffer.from(JSON.stringify(body));
}
