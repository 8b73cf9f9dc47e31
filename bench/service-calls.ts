import { CallProxy, type CrossedCall } from "./call-proxy.ts";

/** A call of S3 or Step Functions. */
export interface ServiceCall {
  readonly caller: string;
  readonly service: "s3" | "sfn";
  /** PUT, GET …, or the operation of Step Functions. */
  readonly what: string;
  readonly sentBytes: number;
  readonly answeredBytes: number;
}

/** Stands before S3 and Step Functions, whose calls are billed one by one. */
export class ServiceCalls {
  readonly #proxies: readonly CallProxy[];
  #calls: ServiceCall[] = [];

  constructor(target: string) {
    const note = (service: ServiceCall["service"]) => (call: CrossedCall) => {
      const { caller, method, action, body, answered } = call;
      const what = service === "s3" ? method : action;
      this.#calls.push({ caller, service, what, sentBytes: body.length, answeredBytes: answered.length });
    };
    this.#proxies = [new CallProxy(target, note("s3")), new CallProxy(target, note("sfn"))];
  }

  /** @returns variables that lead the SDK of a caller of this name through here */
  async listen(): Promise<(caller: string) => Record<string, string>> {
    const [s3, sfn] = await Promise.all(this.#proxies.map((proxy) => proxy.listen()));
    return (caller) => ({ AWS_ENDPOINT_URL_S3: s3!(caller), AWS_ENDPOINT_URL_SFN: sfn!(caller) });
  }

  /** What was counted since the last call. */
  take(): readonly ServiceCall[] {
    const calls = this.#calls;
    this.#calls = [];
    return calls;
  }

  async close(): Promise<void> {
    await Promise.all(this.#proxies.map((proxy) => proxy.close()));
  }
}
