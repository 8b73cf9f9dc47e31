/**
 * How long a call to AWS may take. Functions live 60 s or more and each makes many calls; an SDK without limits waits
 * for minutes on a dead connection and burns the function's own time limit.
 */

/**
 * Attempts of one call, the first included. The SDK waits a random part of 0.1, 0.2, 0.4, 0.8 s between them (0.5, 1,
 * 2, 4 s when throttled): 7.5 s of waiting at most.
 */
export const MAX_ATTEMPTS = 5;

/** Milliseconds until a connection stands. A healthy one takes under 50 ms. */
export const CONNECTION_TIMEOUT_MS = 1_000;

/**
 * Milliseconds until a small call is answered. DynamoDB, ECS and Step Functions answer in under 100 ms; a Query page
 * of 1 MB in under 1 s. Worst case of a call: 5 × (1 + 5) s + 7.5 s = 37.5 s, inside a function's 60 s.
 */
export const REQUEST_TIMEOUT_MS = 5_000;

/** Milliseconds without a byte after which a transfer to or from S3 is given up: a manifest may be 100 MB. */
const TRANSFER_IDLE_TIMEOUT_MS = 10_000;

/** The longest that one small call can take with all its attempts, in milliseconds. */
export const WORST_CALL_MS = MAX_ATTEMPTS * (CONNECTION_TIMEOUT_MS + REQUEST_TIMEOUT_MS) + 7_500;

/** Settings of the clients of DynamoDB, ECS, Step Functions and CloudWatch Logs. */
export const callSettings = {
  maxAttempts: MAX_ATTEMPTS,
  requestHandler: {
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    throwOnRequestTimeout: true,
  },
} as const;

/** Settings of the client of S3. */
export const transferSettings = {
  maxAttempts: MAX_ATTEMPTS,
  requestHandler: { connectionTimeout: CONNECTION_TIMEOUT_MS, socketTimeout: TRANSFER_IDLE_TIMEOUT_MS },
} as const;
