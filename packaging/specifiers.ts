import { dirname, relative } from "node:path/posix";

const SPECIFIER = /(\bfrom\s*|\bimport\s*\(\s*|\bimport\s+)"((?:#|\.{1,2}\/)[^"]+)"/g;

/**
 * The text of a module as the package has it: what it imports of ours by a path to JavaScript, since Node strips no types
 * below node_modules and TypeScript knows `#core/…` only where it reads package.json's `imports`.
 * @param file path from the package's folder of code: `infra/index.ts`.
 */
export const withPackagedImports = (text: string, file: string): string =>
  text.replace(SPECIFIER, (_, before: string, specifier: string) => `${before}"${packaged(specifier, file)}"`);

/** What a packaged module imports of ours, as it is written. */
export const ownImports = (text: string): string[] => [...text.matchAll(SPECIFIER)].map((match) => match[2] ?? "");

function packaged(specifier: string, file: string): string {
  const path = specifier.startsWith("#") ? relative(dirname(file), specifier.slice(1)) : specifier;
  return (path.startsWith(".") ? path : `./${path}`).replace(/\.ts$/, ".js");
}
