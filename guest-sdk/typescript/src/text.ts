/**
 * UTF-8 in a component that has no TextDecoder and no TextEncoder: base64 goes from bytes to strings and back
 * natively, where a loop of ours would take fifty times as long.
 */

declare function escape(text: string): string;
declare function unescape(text: string): string;
declare function atob(text: string): string;
declare function btoa(text: string): string;

interface Base64 {
  toBase64?(): string;
}
const fromBase64 = (Uint8Array as unknown as { fromBase64?(text: string): Uint8Array }).fromBase64;
/** Of a call of `fromCharCode`: its arguments are on the stack. */
const ARGUMENTS_MAX = 8192;

/** Bytes as a string of as many characters. */
export function latin1(bytes: Uint8Array): string {
  if (bytes.length < 64) return String.fromCharCode.apply(null, bytes as unknown as number[]);
  const toBase64 = (bytes as Base64).toBase64;
  if (toBase64) return atob(toBase64.call(bytes));
  let text = "";
  for (let from = 0; from < bytes.length; from += ARGUMENTS_MAX) {
    text += String.fromCharCode.apply(null, bytes.subarray(from, from + ARGUMENTS_MAX) as unknown as number[]);
  }
  return text;
}

/** A string of which each character is a byte, as these bytes. Throws for others. */
export function toBytes(text: string): Uint8Array {
  if (fromBase64 && text.length >= 64) return fromBase64.call(Uint8Array, btoa(text));
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place++) {
    const code = text.charCodeAt(place);
    if (code > 255) throw new RangeError("a character is no byte");
    bytes[place] = code;
  }
  return bytes;
}

/** Whether all bytes are ASCII: four at a time, which takes a quarter of what a regular expression would. */
export function isAscii(bytes: Uint8Array): boolean {
  const from = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const fours = new Int32Array(from.buffer, from.byteOffset, from.length >> 2);
  const { length } = fours;
  let high = 0;
  let place = 0;
  for (; place + 4 <= length; place += 4) {
    high |= fours[place] | fours[place + 1] | fours[place + 2] | fours[place + 3];
  }
  for (place *= 4; place < from.length; place++) if (from[place] > 127) return false;
  return (high & 0x80808080) === 0;
}

/** ASCII text as bytes; null when it is not ASCII. */
export function asciiBytes(text: string): Uint8Array | null {
  let bytes: Uint8Array;
  try {
    bytes = toBytes(text);
  } catch {
    // A character that is no byte.
    return null;
  }
  return isAscii(bytes) ? bytes : null;
}

const NOT_ASCII = /[^\x00-\x7f]/;

/** UTF-8 as text. */
export function decode(bytes: Uint8Array): string {
  return ofUtf8(latin1(bytes));
}

/** A string of which each character is a byte of UTF-8, as text. */
export function ofUtf8(text: string): string {
  return NOT_ASCII.test(text) ? decodeURIComponent(escape(text)) : text;
}

/** Text as a string of which each character is a byte of UTF-8. Throws for half a character. */
export function utf8Of(text: string): string {
  return NOT_ASCII.test(text) ? unescape(encodeURIComponent(text)) : text;
}

/** `ofUtf8` or `utf8Of` for many strings: in one call, where none of them has the character that stands between them. */
export function convert(texts: ArrayLike<string | null | undefined>, how: (text: string) => string): string[] {
  const converted = how(Array.prototype.join.call(texts, "\0")).split("\0");
  return converted.length === texts.length ? converted : Array.from(texts, (text) => how(text ?? ""));
}
