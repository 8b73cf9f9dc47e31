import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { findEngine } from "../../cli/image/engine.ts";
import { type ImageContents, readLayers } from "../../cli/image/layers.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** An image of these layers, as `save` writes it, looked into. */
function look(layers: readonly Record<string, string>[], config: object = {}, zipped = false): Promise<ImageContents> {
  const folder = temporaryFolder("layers");
  const write = (path: string, content: string | Buffer) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  };
  const names = layers.map((files, n) => {
    for (const [path, text] of Object.entries(files)) write(`files-${n}/${path}`, text);
    const tar = execFileSync("tar", ["-cf", "-", "-C", join(folder, `files-${n}`), "."], { maxBuffer: 2 ** 26 });
    write(`image/${n}/layer.tar`, zipped ? gzipSync(tar) : tar);
    return `${n}/layer.tar`;
  });
  write(
    "image/config.json",
    JSON.stringify({ history: layers.map((_, n) => ({ created_by: `step ${n}` })), ...config }),
  );
  write("image/manifest.json", JSON.stringify([{ Config: "config.json", Layers: names }]));
  execFileSync("tar", ["-cf", join(folder, "image.tar"), "-C", join(folder, "image"), "."]);
  writeFileSync(join(folder, "engine"), `#!/bin/sh\ncp ${folder}/image.tar "$3"\n`, { mode: 0o755 });
  const secrets = new Map([["GIT", "planted-7f3a"]]);
  return readLayers({ command: join(folder, "engine"), version: "1" }, "image", secrets);
}

const CLEAN = { "stepwatch/project/models/a.sql": "select 1", "etc/ssl/private/host.key": "the base's own" };

test("a clean image: each layer with its sizes and the step that made it", async () => {
  const { layers, keys, leaked } = await look([CLEAN, { "opt/big": "x".repeat(100_000) }]);
  expect({ keys, leaked }).toEqual({ keys: [], leaked: [] });
  expect(layers.map(({ madeBy }) => madeBy)).toEqual(["step 0", "step 1"]);
  expect(layers[1]!.bytes).toBeGreaterThan(100_000);
  expect(layers[1]!.compressedBytes).toBeLessThan(2_000);
});

test.each([
  ["in a file of any folder", [{ "opt/dbt/direct_url.json": "https://x:planted-7f3a@example.com" }]],
  [
    "across two pieces of what is read",
    [{ "opt/a": `${"x".repeat(2 ** 20 - 1030)}planted-7f3a${"y".repeat(2 ** 20)}` }],
  ],
  ["in a layer that a later one deletes from", [{ "root/.netrc-x": "planted-7f3a" }, { "root/.wh..netrc-x": "" }]],
])("D17: the value of a build secret is found %s, zipped or not", async (_, layers) => {
  expect((await look(layers)).leaked).toEqual(["GIT"]);
  expect((await look(layers, {}, true)).leaked).toEqual(["GIT"]);
});

test("D17: and in the image's history, where a build argument would stand", async () => {
  const history = [{ created_by: "RUN |1 GIT=planted-7f3a pip install" }];
  expect((await look([CLEAN], { history })).leaked).toEqual(["GIT"]);
});

test("D16: what looks like a key in a folder of ours is found, and an image's own is not ours", async () => {
  const key = "-----BEGIN RSA PRIVATE KEY-----\nx\n";
  const { keys } = await look([{ ...CLEAN, "stepwatch/project/conf/x.txt": key, "home/stepwatch/.netrc": "x" }]);
  expect([...keys].sort()).toEqual(["/home/stepwatch/.netrc", "/stepwatch/project/conf/x.txt"]);
});

test("without an engine the command says what each of them answered", async () => {
  const folder = temporaryFolder("engines");
  const broken = join(folder, "docker");
  writeFileSync(broken, "#!/bin/sh\necho 'Cannot connect to the Docker daemon at unix:///x.' >&2; exit 1\n", {
    mode: 0o755,
  });
  await expect(findEngine(broken)).rejects.toMatchObject({
    message: "No container engine answers on this machine.",
    lines: [`${broken}: Cannot connect to the Docker daemon at unix:///x.`],
  });
  await expect(findEngine("/no/engine")).rejects.toMatchObject({ lines: ["/no/engine: not installed"] });
});
