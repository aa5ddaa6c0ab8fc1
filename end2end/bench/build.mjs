/** Builds the peers' pages, as they would be served: for production and minified, with the styles that they use. */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";

import { build } from "esbuild";

const at = (name) => new URL(name, import.meta.url).pathname;

rmSync(at("dist"), { recursive: true, force: true });
await build({
  entryPoints: [at("peers.jsx")],
  outdir: at("dist"),
  bundle: true,
  // The highlighter loads each language by itself.
  splitting: true,
  minify: true,
  format: "esm",
  jsx: "automatic",
  define: { "process.env.NODE_ENV": '"production"' },
  logLevel: "warning",
});
const styles = spawnSync("npx", ["tailwindcss", "--input", at("peers.css"), "--output", at("dist/peers.css"), "--minify"], {
  cwd: import.meta.dirname,
  encoding: "utf8",
});
if (styles.status !== 0) throw new Error(`the peers' styles could not be built: ${styles.stderr}`);
