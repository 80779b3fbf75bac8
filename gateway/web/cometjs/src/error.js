// Refusals of the server.

/** A problem document as an error; `wait` is the server's Retry-After in ms. */
export class CometError extends Error {
  constructor(problem) { Object.assign(super(problem.detail), problem); }
}

/** The data of an event about a failed try and the next one, in a form that a bus can carry. */
export const retryOf = (error, wait, failures) =>
  ({ error: { detail: error.message ?? 'disconnected', ...error.status && error }, wait, failures });

/** Whether it may be the URL's length: 400 is HAProxy's word for that, and has a type if it is the server's. */
export const isTooLong = ({ status, type }) => status === 414 || status === 431 || status === 400 && !type;

/** Whether a repetition cannot help: no Retry-After says so. An error without a status never reached the server. */
export const isFinal = ({ status, wait }) => status >= 400 && status < 500 && status !== 408 && status !== 429 && !wait;
