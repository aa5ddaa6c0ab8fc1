/**
 * Sees that the built page has the highlighter of code: `scripts/setup` builds it before the page; whoever
 * built the page without that gets it here.
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const site = resolve(import.meta.dirname, process.env["RILL_SITE"] ?? join(root, "target/site"));

export default function ensureHighlighter(): void {
  const code = join(root, "frontend/code");
  const built = join(root, "public/code");
  if (!existsSync(join(built, "highlight.js"))) {
    if (!existsSync(join(code, "node_modules"))) execFileSync("npm", ["ci", "--silent", "--prefix", code], { stdio: "inherit" });
    execFileSync(process.execPath, [join(code, "build.mjs")], { stdio: "inherit" });
  }
  if (!existsSync(join(site, "code/highlight.js"))) cpSync(built, join(site, "code"), { recursive: true });
}
