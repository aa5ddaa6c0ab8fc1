/**
 * Sees that the built page has what is JavaScript of its own: the highlighter of code, and what draws diagrams.
 * `scripts/setup` builds them before the page; whoever built the page without that gets them here.
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const site = resolve(import.meta.dirname, process.env["RILL_SITE"] ?? join(root, "target/site"));

/** The folders of their sources, and of what becomes of them one file. */
const BUNDLES = [
  ["code", "highlight.js"],
  ["diagram", "page.html"],
] as const;

export default function ensureBundles(): void {
  for (const [name, file] of BUNDLES) {
    const source = join(root, "frontend", name);
    const built = join(root, "public", name);
    if (!existsSync(join(built, file))) {
      if (!existsSync(join(source, "node_modules"))) execFileSync("npm", ["ci", "--silent", "--prefix", source], { stdio: "inherit" });
      execFileSync(process.execPath, [join(source, "build.mjs")], { stdio: "inherit" });
    }
    if (!existsSync(join(site, name, file))) cpSync(built, join(site, name), { recursive: true });
  }
}
