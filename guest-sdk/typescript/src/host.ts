/** What an operator can ask of the host: log lines, counters, observations. In a test they go to `testing`. */

const LEVELS = ["trace", "debug", "info", "warn", "error"] as const;
export type Level = (typeof LEVELS)[number];

/** Where all of this goes. */
export interface Host {
  log(level: Level, message: string): void;
  count(name: string, by: number): void;
  observe(name: string, value: number): void;
}

let connected: Host | null = null;

/** Called by whoever runs operators. */
export function connect(host: Host): void {
  connected = host;
}

function host(): Host {
  if (!connected) throw new Error("operators run in Millstream or in `millstream-plugin/testing`: nobody listens here");
  return connected;
}

/** A line in the pipeline's log. */
export function log(message: string, level: Level = "info"): void {
  if (!LEVELS.includes(level)) throw new RangeError(`the level ${level} is none of ${LEVELS.join(", ")}`);
  host().log(level, String(message));
}

/** Adds to a counter of this operator; counters never fall. */
export function count(name: string, by = 1): void {
  if (!Number.isSafeInteger(by) || by < 0) throw new RangeError(`the counter ${name} cannot count ${by}`);
  host().count(String(name), by);
}

/** Records one value of a distribution of this operator. */
export function observe(name: string, value: number): void {
  host().observe(String(name), Number(value));
}
