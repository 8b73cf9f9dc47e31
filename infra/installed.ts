import { dirname, join } from "node:path";

/** The folder with core/, infra/ and containers/: this checkout, or what the npm package has of it as JavaScript. */
export const codeRoot = dirname(import.meta.dirname);

/** Whether this is the npm package, where Lambda functions and runner lie ready: in a checkout they are bundled anew. */
export const installed = import.meta.filename.endsWith(".js");

/** Where a CDK app leaves what it makes beside its assembly. A package may lie where nobody may write. */
export const workFolderOf = (root: string): string =>
  installed ? join(process.cwd(), ".stepwatch") : join(root, "build");

/** Folders that stepwatch writes itself: no part of any dbt project that they lie in. */
export const ownFoldersOf = (root: string): string[] =>
  [...new Set([root, ...(installed ? [process.cwd()] : [])])].flatMap((folder) =>
    ["build", "cdk.out", ".stepwatch"].map((name) => join(folder, name)),
  );
