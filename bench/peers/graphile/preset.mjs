/** How graphile-worker is configured, in every process; why, says graphile_worker.py. */
import { Logger } from "graphile-worker";

const CONCURRENT_JOBS = 24;

export const preset = {
  worker: {
    connectionString: process.env.BENCH_DATABASE_URL,
    concurrentJobs: CONCURRENT_JOBS,
    maxPoolSize: CONCURRENT_JOBS + 1,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
    logger: new Logger(() => (level, message) => {
      if (level === "error" || level === "warning") console.error(message);
    }),
  },
};
