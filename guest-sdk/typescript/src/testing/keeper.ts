/** A keyed operator with the states and timers that a host would keep for it. */

import { Row, Value } from "../columns.js";
import { RunningKeyed } from "../keys.js";
import { States, decode, encode } from "../states.js";
import { Schema } from "../types.js";
import { Ran, Types, batchOf, listen, nameOf, rowsOf, schemaOf, statesOf } from "./running.js";

interface Kept {
  key: Row;
  state: Uint8Array | null;
  timer: bigint | null;
}

/** Turns of a keyed operator, one after the other; keys are named by their values as a JSON array: `["ann"]`. */
export class Keeper {
  private readonly columns: Schema;
  private readonly keys: Schema;
  private readonly running: RunningKeyed;
  private readonly kept = new Map<string, Kept>();
  private turns = 0n;

  constructor(
    operator: string,
    private readonly by: string[],
    types: Types,
    config: unknown = {},
  ) {
    this.columns = schemaOf([], types);
    this.keys = new Schema(by.map((name) => this.columns.field(name)));
    this.running = new RunningKeyed(operator, JSON.stringify(config), this.keys, this.columns);
  }

  /** The states by key, as the operator sees them. */
  get states(): Record<string, unknown> {
    const some = [...this.kept].filter(([, { state }]) => state !== null);
    return Object.fromEntries(some.map(([name, { state }]) => [name, decode(state!)]));
  }

  /** The timers that are set, by key. */
  get timers(): Record<string, bigint> {
    const some = [...this.kept].filter(([, { timer }]) => timer !== null);
    return Object.fromEntries(some.map(([name, { timer }]) => [name, timer!]));
  }

  /** A turn with these rows, before which the timers come that are due at `watermark`. */
  turn(rows: Row[], watermark: bigint | null = null, now = 0n): Ran {
    const told = listen();
    const clock = { batchId: ++this.turns, now, watermark };
    const isDue = ({ timer }: Kept) => watermark !== null && timer !== null && timer <= watermark;
    const due = [...this.kept].filter(([, kept]) => isDue(kept)).map(([name]) => name);
    rows.forEach((row) => this.keep(row));
    const names = [...new Set([...due, ...rows.map((row) => this.nameOf(row))])];
    const kept = names.map((name) => this.kept.get(name)!);
    const outcome = this.running.process({
      keys: batchOf(kept.map(({ key }) => key), this.keys, clock),
      states: statesOf(kept.map(({ state }) => state)),
      rows: batchOf(rows, this.columns, clock),
      rowKeys: Uint32Array.from(rows, (row) => names.indexOf(this.nameOf(row))),
      due: due.map((name, key) => ({ key, at: this.kept.get(name)!.timer! })),
    });
    due.forEach((name) => (this.kept.get(name)!.timer = null));
    outcome.timers.forEach(({ key, at }) => (kept[key].timer = at));
    new States(names.length, outcome.states).toArray().forEach((state, key) => (kept[key].state = state));
    for (const [name, { state, timer }] of this.kept) if (state === null && timer === null) this.kept.delete(name);
    return { ...told, rows: rowsOf(this.running.output, outcome), rejected: outcome.rejected };
  }

  /** A turn without rows: only the timers that are due at `watermark`. */
  advance(watermark: bigint): Ran {
    return this.turn([], watermark);
  }

  /** Takes the state of a key that an earlier version of the plugin wrote, through the operator's `migrate`. */
  migrate(fromVersion: string, key: Row, state: unknown): void {
    const moved = this.running.migrate(fromVersion, statesOf([encode(state)]));
    this.keep(key).state = new States(1, moved).toArray()[0];
  }

  private keep(row: Row): Kept {
    const name = this.nameOf(row);
    const key = Object.fromEntries(this.by.map((one) => [one, row[one] ?? null])) as Row;
    const kept = this.kept.get(name) ?? { key, state: null, timer: null };
    this.kept.set(name, kept);
    return kept;
  }

  private nameOf(row: Row): string {
    return nameOf(this.by.map((one): Value => row[one] ?? null));
  }
}
