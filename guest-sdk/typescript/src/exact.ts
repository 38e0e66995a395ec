/**
 * 64 bits come into a component and leave it as numbers, which are exact up to 2^53: microseconds up to the year 2255.
 * Beyond, every second whole number has its own, then every fourth, and so on. (Columns hold bigints, and are always exact.)
 */

import { Clock } from "./columns.js";
import { OperatorError } from "./errors.js";

/** The most that a number below 2^63 is away from the whole number that it was rounded from. */
const ROUNDED_MAX = 512n;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

const lesser = (one: bigint, other: bigint) => (one < other ? one : other);
const greater = (one: bigint, other: bigint) => (one > other ? one : other);

/** The contract's clock, as the component gets it. */
export interface GivenClock {
  batchId: number;
  now: number;
  watermark?: number | null;
}

/** Whether there is a number for this, and not only one nearby. */
export function isExact(value: bigint): boolean {
  return BigInt(Number(value)) === value;
}

/** The time of a timer: exact, since this kit sets no others. One that another kit set may round to 2^63. */
export function timeOf(at: number): bigint {
  return lesser(BigInt(at), INT64_MAX);
}

/** The clock for operators. What may not be exact is an error for those alone that look at it. */
export function clockOf({ batchId, now, watermark }: GivenClock): Clock {
  return {
    get batchId() {
      return exactly("batchId", batchId);
    },
    get now() {
      return exactly("now", now);
    },
    watermark: watermark === undefined || watermark === null ? null : watermarkOf(watermark),
  };
}

function exactly(name: string, value: number): bigint {
  if (Number.isSafeInteger(value)) return BigInt(value);
  throw new OperatorError(`\`clock.${name}\` is near ${value}, and not known exactly: numbers are exact up to 2^53 only`);
}

/** Never ahead of the host's: rows that may still come must not count as late. */
function watermarkOf(value: number): bigint {
  return Number.isSafeInteger(value) ? BigInt(value) : greater(BigInt(value) - ROUNDED_MAX, INT64_MIN);
}
