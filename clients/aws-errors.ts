import type { RetryableError } from "#core/errors.ts";

/**
 * Error names of the SDK that pass by themselves: load, a server's own failure, or the network. Everything else is a
 * defect, a wrong permission or a wrong deployment, and is thrown on as it is.
 */
const transientAwsErrors: ReadonlySet<string> = new Set([
  // Load: the service asks to be called later.
  "Throttling",
  "ThrottlingException",
  "ThrottledException",
  "RequestThrottled",
  "RequestThrottledException",
  "RequestLimitExceeded",
  "TooManyRequestsException",
  "ProvisionedThroughputExceededException",
  "ExecutionLimitExceeded",
  "SlowDown",
  // Two writers met in one row: neither is wrong.
  "TransactionConflictException",
  "TransactionInProgressException",
  "ConditionalRequestConflict",
  // The server's own failure.
  "InternalError",
  "InternalFailure",
  "InternalServerError",
  "InternalServerException",
  "ServerException",
  "ServiceUnavailable",
  "ServiceUnavailableException",
  // Credentials that could not be refreshed just now: the endpoint that gives them is away, or the old ones have expired.
  "CredentialsProviderError",
  "ProviderError",
  "ExpiredToken",
  "ExpiredTokenException",
  "RequestExpired",
  "UnrecognizedClientException",
  // The same in the words of S3 and of older protocols.
  "InvalidClientTokenId",
  "InvalidAccessKeyId",
  "TokenRefreshRequired",
  "MissingAuthenticationToken",
  "MissingAuthenticationTokenException",
  // A clock that runs ahead or behind: the SDK corrects it from the answer, by the next call at the latest.
  "InvalidSignatureException",
  "SignatureDoesNotMatch",
  "RequestTimeTooSkewed",
  "RequestInTheFuture",
  // The network, or an answer that took too long.
  "TimeoutError",
  "RequestTimeout",
  "RequestTimeoutException",
  "NetworkingError",
]);

const NETWORK_CODES: ReadonlySet<string> = new Set([
  "EAI_AGAIN",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
]);

interface AwsErrorFacts {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly $fault?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** Whether an error of the SDK passes by itself. */
export function isTransient(error: unknown): boolean {
  const { name, code, $fault, $metadata } = facts(error);
  const status = $metadata?.httpStatusCode ?? 0;
  return (
    transientAwsErrors.has(name) ||
    (code !== undefined && (NETWORK_CODES.has(code) || transientAwsErrors.has(code))) ||
    $fault === "server" ||
    status === 429 ||
    status >= 500
  );
}

/**
 * A `catch` for one call: turns what passes by itself into `Unavailable`, with the call in the message and the SDK's
 * error as cause, and throws everything else on as it is.
 */
export function unavailable(
  Unavailable: new (message: string, options: ErrorOptions) => RetryableError,
  call: string,
): (error: unknown) => never {
  return (error) => {
    if (!isTransient(error)) throw error;
    const { name, message } = facts(error);
    throw new Unavailable(`${call} was not answered (${name}: ${message}): call again in a moment.`, { cause: error });
  };
}

/** Whether AWS refuses the call for good: a permission that is missing, a resource that is gone, an input that is wrong. */
export const isRefused = (error: unknown): boolean => facts(error).$fault === "client" && !isTransient(error);

/** Whether an error has one of these names. */
export function isNamed(error: unknown, ...names: readonly string[]): boolean {
  return names.includes(facts(error).name);
}

/** The parts of an SDK error that decide, whatever was thrown. */
export function facts(error: unknown): AwsErrorFacts {
  return error instanceof Error ? (error as AwsErrorFacts) : { name: "unknown", message: String(error) };
}
