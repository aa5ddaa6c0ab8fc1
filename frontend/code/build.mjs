/** Bundles the highlighter into the folder that the server serves: a small file, and one for each mode. */
import { build } from "esbuild";
import { rm } from "node:fs/promises";

const outdir = new URL("../../public/code/", import.meta.url).pathname;
await rm(outdir, { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: { highlight: new URL("src/main.js", import.meta.url).pathname },
  outdir,
  bundle: true,
  splitting: true,
  minify: true,
  format: "esm",
  target: "es2022",
  chunkNames: "[hash]",
  metafile: true,
  logLevel: "warning",
});
const sizes = Object.values(metafile.outputs).map(({ bytes }) => bytes);
console.log(`code highlighter: ${sizes.length} files, ${sizes.reduce((sum, bytes) => sum + bytes, 0)} bytes`);
