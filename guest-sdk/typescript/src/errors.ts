/** What an operator and its kit say when something is wrong. */

/** Refuses a whole batch, or a config in `open`. The text is shown to people. */
export class OperatorError extends Error {
  override name = "OperatorError";
}

/** Thrown for one row: it becomes a dead letter with this reason, the others go on. */
export class Reject extends Error {
  override name = "Reject";
}

/** A value of a column is not what the schema says; `place` adds to column and row what else is known. */
export class ColumnError extends OperatorError {
  constructor(
    readonly column: string,
    readonly row: number | null,
    readonly why: string,
    place = "",
  ) {
    super(`${placed([column], row)}${place && `, ${place}`}: ${why}`);
  }
}

/** What went wrong in all words, with the operator: the host and tests show it as it is. */
export class ToldError extends OperatorError {}

/** Columns and row, in words; nothing when neither is known. */
export function placed(columns: readonly string[], row: number | null): string {
  const names = columns.map((name) => `\`${name}\``).join(", ");
  const parts = columns.length > 0 ? [`column${columns.length > 1 ? "s" : ""} ${names}`] : [];
  return [...parts, ...(row === null ? [] : [`row ${row}`])].join(", ");
}

/** Of an error's causes, and theirs: what is further down says little. */
const CAUSES_MAX = 5;

/** An error and its causes: anything can be thrown, and be a cause. */
export function* chain(error: unknown): Generator<unknown> {
  yield error;
  for (let depth = 0; depth < CAUSES_MAX && error instanceof Error && error.cause !== undefined; depth++) {
    error = error.cause;
    yield error;
  }
}

/**
 * What operator code threw, in one line: the place it was called for, what it says, the function it was in, its causes.
 * `lastRead` is where its own loops were. That is told as what it is: a loop that was left by `break` looks like one that
 * an exception broke out of, since the iterator hears the same from both.
 */
export function described(error: unknown, place = "", lastRead = ""): string {
  if (error instanceof ColumnError || error instanceof ToldError) return error.message;
  try {
    const [thrown, ...causes] = [...chain(error)].map(said);
    const isPlain = !(error instanceof Error) || error instanceof OperatorError;
    const hints = [isPlain ? "" : functionOf(error.stack), lastRead && `last read: ${lastRead}`].filter((hint) => hint !== "");
    const words = [`${thrown}${hints.length > 0 ? ` (${hints.join("; ")})` : ""}`, ...causes].join("; cause: ");
    return place ? `${place}: ${words}` : words;
  } catch {
    // What is thrown may have getters, and may have no text.
    return `${place && `${place}: `}what was thrown cannot be told: it is no ordinary Error`;
  }
}

/** What was thrown, without what caused it. */
function said(error: unknown): string {
  if (error instanceof OperatorError) return error.message;
  if (error instanceof Error) return error.message ? `${error.name}: ${error.message}` : error.name;
  if (typeof error === "string" && error.trim() !== "") return error;
  const json = typeof error === "bigint" ? undefined : JSON.stringify(error);
  return `${(json ?? String(error)).slice(0, 100)} was thrown, which is no Error`;
}

const CALLED = /^\s*at (?:new |async )?([\w$.]+)(?: \[as [\w$]+\])? \(/gm;
/** From where the kit calls operators: what is further out is its own. */
const CALLERS = /(^|\.)(told|reading)$/;

/** The innermost function with a name; lines are those of a bundle, which nobody has seen. */
function functionOf(stack: unknown): string {
  const name = String(stack ?? "").matchAll(CALLED).next().value?.[1];
  return name && !CALLERS.test(name) ? `in ${name}` : "";
}

/** What operator code answered. Promises are refused: a component's call is over before one could be kept. */
export function atOnce<T>(answer: T): T {
  const then = typeof answer === "object" ? (answer as { then?: unknown } | null)?.then : undefined;
  if (typeof then !== "function") return answer;
  // Nobody waits for it: in a test of its own its failure would end the process.
  (answer as unknown as PromiseLike<unknown>).then(undefined, () => {});
  throw new OperatorError("a promise was answered, and nothing waits for it: operators cannot be `async`");
}

/** The one of `known` that `name` was most likely meant to be, as the end of a message. */
export function nearest(name: string, known: Iterable<string>): string {
  const names = [...known];
  const distances = names.map((one) => distance(name, one));
  const least = Math.min(...distances);
  if (least <= Math.max(2, name.length / 3)) return `did you mean \`${names[distances.indexOf(least)]}\`?`;
  return names.length > 0 ? `there are ${names.map((one) => `\`${one}\``).join(", ")}` : "there are none";
}

/** How many letters have to be changed, added or left out (Levenshtein). */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, place) => place);
  for (let i = 0; i < one.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < other.length; j++) {
      next.push(Math.min(next[j] + 1, row[j + 1] + 1, row[j] + (one[i] === other[j] ? 0 : 1)));
    }
    row = next;
  }
  return row[other.length];
}
