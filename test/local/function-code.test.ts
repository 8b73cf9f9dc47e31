import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fetchFunction } from "#local/lambda/function-code.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { zipArchive } from "./zip-archive.ts";

/** Of a name that is kept for what does not exist, as LocalStack's public name does not where there is no internet. */
const LOCATION = "http://engine.invalid:4566/code/of/echo?Signature=x%2B";
const asked: string[] = [];
let engine: Server;
let url: string;

beforeAll(async () => {
  engine = createServer((request, response) => {
    asked.push(request.url!);
    if (request.url!.startsWith("/code/")) response.end(zipArchive({ "index.mjs": "export const a = 1;" }));
    else
      response.end(
        JSON.stringify({
          Configuration: { FunctionName: "echo", FunctionArn: "arn", Handler: "index.handler", CodeSha256: "AAAA" },
          Code: { Location: LOCATION },
        }),
      );
  });
  await new Promise<void>((resolve) => engine.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(engine.address() as AddressInfo).port}`;
});
afterAll(() => engine.close());

test("code that an engine names by a name which nobody resolves is read where the engine answers", async () => {
  const source = { emulatorUrl: url, region: "us-east-1" };
  const { codeDir } = await fetchFunction(source, "echo", "$LATEST", temporaryFolder("code"));
  expect(readFileSync(join(codeDir, "index.mjs"), "utf8")).toBe("export const a = 1;");
  expect(asked).toEqual(["/2015-03-31/functions/echo", "/code/of/echo?Signature=x%2B"]);
});
