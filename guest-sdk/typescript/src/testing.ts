/**
 * Runs operators in a test, natively: rows are objects, as they come and go. Values cross the same buffers as in
 * the host, so what cannot leave an operator cannot leave it here, and errors read as they do in the host.
 * `Keeper` keeps states and timers between turns, as the host does.
 */

export { Keeper } from "./testing/keeper.js";
export { type Ran, type Types, aggregate, transform } from "./testing/running.js";
