import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { describe, expect, it } from "vitest";
import { isTransient } from "#clients/aws-errors.ts";
import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { LedgerUnavailable } from "#core/errors.ts";
import { StatusWriter } from "../../containers/dbt-runner/status-writer.ts";
import { refusal, scriptedHttp } from "../support/scripted-http.ts";

const key = { project: "shop", runId: "run-1" };
const named = (name: string) => Object.assign(new Error("Could not load credentials from any providers"), { name });

describe("credentials that can not be refreshed for a while", () => {
  it.each([
    "CredentialsProviderError",
    "ProviderError",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "TokenRefreshRequired",
    "MissingAuthenticationTokenException",
  ])("D20: %s passes by itself", (name) => {
    expect(isTransient(named(name))).toBe(true);
    // As the SDK throws it: a client's fault, with a status that says so.
    const ofService = Object.assign(named(name), { $fault: "client", $metadata: { httpStatusCode: 403 } });
    expect(isTransient(ofService)).toBe(true);
  });

  it("D20: what is really not allowed does not", () => {
    for (const name of ["AccessDeniedException", "ValidationException", "ResourceNotFoundException"])
      expect(isTransient(named(name))).toBe(false);
  });

  it("D20: a provider that is away, and then a token that has expired, are a ledger that is away; the same call goes through afterwards", async () => {
    let asked = 0;
    const credentials = async () => {
      asked += 1;
      if (asked <= 2) throw named("CredentialsProviderError");
      return { accessKeyId: "test", secretAccessKey: "test", expiration: new Date(Date.now() + 60_000) };
    };
    const { settings, seen } = scriptedHttp([refusal("ExpiredTokenException"), { body: {} }]);
    const client = new DynamoDBClient({ ...settings, credentials });
    const ledger = dynamoLedger({ table: "t", client });
    for (let n = 0; n < 3; n++) await expect(ledger.readRun(key)).rejects.toThrow(LedgerUnavailable);
    expect(await ledger.readRun(key)).toBeNull();
    expect(seen.map((one) => one.operation)).toEqual(["GetItem", "GetItem"]);
  });

  it("D20: no status is lost meanwhile", async () => {
    const written: string[] = [];
    let away = 2;
    const writer = new StatusWriter({
      write: async ({ uniqueId }) => {
        if (away-- > 0) throw new LedgerUnavailable("credentials are being refreshed");
        written.push(uniqueId);
      },
      hold: false,
      onLost: () => expect.unreachable(),
    });
    writer.put({ uniqueId: "model.shop.a", status: "success", evidence: true });
    expect(await writer.flush(() => Date.now() + 60_000)).toBe(true);
    expect(written).toEqual(["model.shop.a"]);
  });
});
