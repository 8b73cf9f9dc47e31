import { execFileSync } from "node:child_process";
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { transform } from "esbuild";
import { BUNDLE_FOLDER, bundle } from "../infra/bundle.ts";
import { ownImports, withPackagedImports } from "./specifiers.ts";

/**
 * `npm run build`: makes dist/, the code of the npm package. It is the checkout's own tree, so that each file finds its
 * neighbours by the same paths: TypeScript as JavaScript, the types of what infra/index.ts exports, functions and runner
 * bundled, and the files that are read as they are.
 */
const root = resolve(import.meta.dirname, "..");
const dist = join(root, "dist");

/** Read or run by path: Node's own modules for any version of it, MiniStack's patches, the image's recipe, CDK's settings. */
const AS_THEY_ARE = ["local/*.mjs", "local/*.d.mts", "local/emulator/*.py", "containers/dbt-runner/Dockerfile"];

const PUBLIC = "infra/index";

/** What is reachable from the programs and the public file, by the compiler's own account: each has its types now. */
function writeTypes(): string[] {
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [compiler, "-p", join(root, "packaging", "tsconfig.json")], { stdio: "inherit" });
  return globSync("**/*.d.ts", { cwd: dist }).map((file) => file.replace(/\.d\.ts$/, ""));
}

async function writeCode(module: string): Promise<void> {
  const source = readFileSync(join(root, `${module}.ts`), "utf8");
  const { code } = await transform(source, { loader: "ts", format: "esm", target: "node20", charset: "utf8" });
  write(`${module}.js`, withPackagedImports(code, module));
}

/** The types that a user of the public file sees; nobody imports the others. */
function keepPublicTypes(modules: readonly string[]): void {
  const seen = new Set([PUBLIC]);
  for (const module of seen) {
    const file = `${module}.d.ts`;
    const text = withPackagedImports(readFileSync(join(dist, file), "utf8"), module);
    write(file, text);
    for (const specifier of ownImports(text)) {
      if (!specifier.endsWith(".js")) continue;
      seen.add(relative(dist, resolve(dist, dirname(file), specifier)).replace(/\.js$/, ""));
    }
  }
  for (const module of modules) if (!seen.has(module)) rmSync(join(dist, `${module}.d.ts`));
}

function write(file: string, text: string): void {
  mkdirSync(dirname(join(dist, file)), { recursive: true });
  writeFileSync(join(dist, file), text);
}

/** The programs of the package say its version, and are ES modules, by this. */
function writePackageFile(): void {
  const { name, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<string, string>;
  write("package.json", `${JSON.stringify({ name, version, type: "module", private: true }, null, 2)}\n`);
  const cdk = JSON.parse(readFileSync(join(root, "cdk.json"), "utf8")) as Record<string, unknown>;
  write("cdk.json", `${JSON.stringify({ ...cdk, app: "node local/bootstrap.mjs infra/app.js" }, null, 2)}\n`);
}

rmSync(dist, { recursive: true, force: true });
const modules = writeTypes();
await Promise.all(modules.map(writeCode));
keepPublicTypes(modules);
for (const file of globSync(AS_THEY_ARE, { cwd: root })) cpSync(join(root, file), join(dist, file));
await bundle(root, join(dist, BUNDLE_FOLDER));
writePackageFile();
