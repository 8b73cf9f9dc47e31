import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ServedFolder, serveFolder } from "../../cli/serve-folder.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

let site: ServedFolder;
const folder = temporaryFolder("docs");

beforeEach(async () => {
  writeFileSync(join(folder, "index.html"), "<html>docs");
  writeFileSync(join(folder, "secret.txt"), "secret");
  site = await serveFolder(folder, ["index.html"], 0);
});
afterEach(() => site.close());

/** As it is on the wire: fetch would tidy the path and choose the host. */
function ask(path: string, host?: string): Promise<{ status: number | undefined; type: string | undefined }> {
  return new Promise((resolve, reject) => {
    request(`${site.address}`, { path, ...(host === undefined ? {} : { headers: { host } }) }, (response) => {
      response.resume();
      resolve({ status: response.statusCode, type: response.headers["content-type"] });
    })
      .on("error", reject)
      .end();
  });
}

test("H7: docs are served on loopback, under / too", async () => {
  expect(site.address).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  for (const path of ["/", "/index.html", "/index.html?v=1", "/#!/overview"])
    expect(await ask(path)).toEqual({ status: 200, type: "text/html; charset=utf-8" });
  expect(await (await fetch(site.address)).text()).toBe("<html>docs");
});

test.each(["/secret.txt", "/../secret.txt", "/%2e%2e/secret.txt", "//secret.txt", "/constructor"])(
  "H7: %s is none of the site's files",
  async (path) => {
    expect((await ask(path)).status).toBe(404);
  },
);

test("H7: a page of another site, which comes by a name of its own, is told nothing", async () => {
  expect((await ask("/", "evil.example:80")).status).toBe(404);
});
