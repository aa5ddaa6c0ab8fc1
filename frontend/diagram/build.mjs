/**
 * Builds the page that draws diagrams into the folder that the server serves: one file with all that it needs, since a
 * sandboxed page has no origin to load more from. Beside it stands the hash of its script, which the page's policy
 * names (server/src/frames.rs).
 *
 * Two things are left out. ELK, a second way to lay out graphs, is as large as all the rest and under another kind of
 * licence: what asks for it is laid out by dagre, as in Mermaid's own small build. KaTeX sets formulas in labels, which
 * would have to be HTML: they are shown as they are written.
 */
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

const here = (path) => new URL(path, import.meta.url).pathname;
const outdir = here("../../public/diagram/");

const leftOut = {
  name: "left out",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\/elk-\w+\.mjs$/ }, async ({ resolveDir }) => {
      const [dagre, ...more] = (await readdir(resolveDir)).filter((name) => /^dagre-\w+\.mjs$/.test(name));
      if (!dagre || more.length > 0) throw new Error("Mermaid's files have other names than before: look for the layout by dagre");
      return { path: join(resolveDir, dagre) };
    });
    onResolve({ filter: /^katex$/ }, () => ({ path: "katex", namespace: "left-out" }));
    onLoad({ filter: /.*/, namespace: "left-out" }, () => ({ contents: "export default { renderToString: (tex) => tex };" }));
  },
};

const { outputFiles, metafile } = await build({
  entryPoints: [here("src/main.js")],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  write: false,
  metafile: true,
  logLevel: "warning",
  plugins: [leftOut],
});
if (Object.keys(metafile.inputs).some((path) => /node_modules\/(elkjs|katex)\//.test(path))) throw new Error("ELK or KaTeX is in the bundle after all");

// As part of a page, a script must hold neither its own end nor what begins a comment. They stand in texts alone.
const script = outputFiles[0].text.replaceAll("<!--", "\\x3c!--");
if (/<\/script|\r|\0/i.test(script)) throw new Error("the script cannot be part of a page");
const page = (await readFile(here("src/page.html"), "utf8")).replace("SCRIPT", () => script);

await rm(outdir, { recursive: true, force: true });
await mkdir(outdir, { recursive: true });
await writeFile(join(outdir, "page.html"), page);
await writeFile(join(outdir, "script.sha256"), createHash("sha256").update(script).digest("base64"));
console.log(`diagrams: ${page.length} bytes`);
