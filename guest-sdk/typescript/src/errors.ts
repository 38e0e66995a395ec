/** What an operator and its kit say when something is wrong. */

/** Refuses a whole batch, or a config in `open`. The text is shown to people. */
export class OperatorError extends Error {
  override name = "OperatorError";
}

/** Thrown for one row: it becomes a dead letter with this reason, the others go on. */
export class Reject extends Error {
  override name = "Reject";
}

/** A value of a column is not what the schema says. */
export class ColumnError extends OperatorError {
  constructor(column: string, row: number | null, why: string) {
    super(`${placed([column], row)}: ${why}`);
  }
}

/** Columns and row, in words; nothing when neither is known. */
export function placed(columns: readonly string[], row: number | null): string {
  const names = columns.map((name) => `\`${name}\``).join(", ");
  const parts = columns.length > 0 ? [`column${columns.length > 1 ? "s" : ""} ${names}`] : [];
  return [...parts, ...(row === null ? [] : [`row ${row}`])].join(", ");
}

/** What operator code threw, in one line: the rows it was at, what it says, the function it was in. */
export function described(error: unknown, place = ""): string {
  if (error instanceof ColumnError) return error.message;
  const before = place ? `${place}: ` : "";
  if (error instanceof OperatorError) return `${before}${error.message}`;
  if (!(error instanceof Error)) return `${before}${String(error)}`;
  return `${before}${error.name}: ${error.message}${functionOf(error.stack)}`;
}

/** The innermost function with a name; lines are those of a bundle, which nobody has seen. */
function functionOf(stack: string | undefined): string {
  const name = /^\s*at (?:new |async )?([\w$.]+) \(/m.exec(stack ?? "")?.[1];
  return name && !name.startsWith("<") ? ` (in ${name})` : "";
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
