import { FatalError, ServiceUnavailable } from "#core/errors.ts";

/** The other side refused the message, or its address is none: the same call comes to the same. */
export class WebhookRefused extends FatalError {
  override readonly name = "WebhookRefused";
  readonly status: number | null;
  constructor(sentence: string, status: number | null) {
    super(sentence);
    this.status = status;
  }
}

export interface WebhookOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Waits between attempts; a test has its own. */
  readonly sleep?: (milliseconds: number) => Promise<void>;
}

const ATTEMPTS = 3;
const ANSWER_WITHIN_MS = 10_000;
const WAIT_MS = 1_000;
/** What is asked for by `Retry-After` is obeyed up to here: the function's own time is a minute. */
const LONGEST_WAIT_MS = 8_000;

/**
 * Posts JSON to somebody's address, three times at most. Its address may be a secret and is in no sentence. A redirect is
 * not followed: it would take the secret, or the message, elsewhere.
 * @throws {ServiceUnavailable} for load and network, {@link WebhookRefused} for the rest
 */
export async function postJson(address: string, body: unknown, options: WebhookOptions = {}): Promise<void> {
  const { headers = {}, sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms)) } = options;
  const url = addressOf(address);
  let failure = "no answer";
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
      redirect: "manual",
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    }).catch((error: unknown) => reasonOf(error));
    if (typeof answer !== "string") {
      if (answer.ok) return;
      const said = (await answer.text().catch(() => "")).slice(0, 200);
      failure = `${answer.status} ${said}`.trim();
      if (answer.status < 500 && answer.status !== 429 && answer.status !== 408)
        throw new WebhookRefused(`${url.hostname} refused the message: ${failure}`, answer.status);
    } else failure = answer;
    if (attempt < ATTEMPTS) await sleep(waitMs(typeof answer === "string" ? null : answer, attempt));
  }
  throw new ServiceUnavailable(`${url.hostname} did not take the message in ${ATTEMPTS} attempts: ${failure}`);
}

/** The code alone: the message of a failed fetch may hold the address. */
const reasonOf = (error: unknown): string => {
  const { name, cause } = error as { name?: string; cause?: { code?: string } };
  return cause?.code ?? name ?? "no connection";
};

function waitMs(answer: Response | null, attempt: number): number {
  const asked = Number(answer?.headers.get("retry-after") ?? "") * 1_000;
  return Math.min(LONGEST_WAIT_MS, Math.max(WAIT_MS * attempt, Number.isFinite(asked) ? asked : 0));
}

/** @throws {WebhookRefused} unless it is an https address, or one of this machine */
function addressOf(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : null;
  const isOwn = url?.protocol === "http:" && ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
  if (url !== null && (url.protocol === "https:" || isOwn)) return url;
  throw new WebhookRefused("The secret holds no https address of a webhook.", null);
}
