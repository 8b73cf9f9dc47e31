import { Readable } from "node:stream";

export interface ScriptedAnswer {
  /** 200 if absent. */
  readonly status?: number;
  readonly body: unknown;
}

/** A failed answer in the JSON protocol of ECS, Step Functions and Logs. */
export const refusal = (name: string, message = "", more: Record<string, unknown> = {}): ScriptedAnswer => ({
  status: 400,
  body: { __type: name, message, ...more },
});

/** The text of a request's body as the SDK hands it to the wire. */
export const wireText = (body: string | Uint8Array | undefined): string =>
  body instanceof Uint8Array ? new TextDecoder().decode(body) : (body ?? "{}");

export interface SeenRequest {
  /** `RunTask`, `StartExecution`, … */
  readonly operation: string;
  readonly body: Record<string, unknown>;
}

/**
 * Settings for a real SDK client whose requests are answered by a script instead of the network: one answer a request,
 * in order; an error among them is thrown as the network would. What was asked is in `seen`.
 */
export function scriptedHttp(answers: readonly (ScriptedAnswer | Error)[]) {
  const left = [...answers];
  const seen: SeenRequest[] = [];
  const requestHandler = {
    async handle(request: { headers: Record<string, string>; body?: string | Uint8Array }) {
      const operation = request.headers["x-amz-target"]?.split(".").at(-1) ?? "";
      seen.push({ operation, body: JSON.parse(wireText(request.body)) });
      const answer = left.shift();
      if (answer === undefined) throw new Error(`The script has no answer for this ${operation}.`);
      if (answer instanceof Error) throw answer;
      const { status = 200, body } = answer;
      const headers = { "content-type": "application/x-amz-json-1.1" };
      return { response: { statusCode: status, headers, body: Readable.from([Buffer.from(JSON.stringify(body))]) } };
    },
  };
  const settings = {
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    maxAttempts: 1,
    requestHandler,
  };
  return { seen, settings };
}
