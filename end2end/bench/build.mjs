/** Bundles the peers' pages, as they would be served: for production and minified. */
import { build } from "esbuild";

await build({
  entryPoints: [new URL("peers.jsx", import.meta.url).pathname],
  outfile: new URL("dist/peers.js", import.meta.url).pathname,
  bundle: true,
  minify: true,
  format: "esm",
  jsx: "automatic",
  define: { "process.env.NODE_ENV": '"production"' },
  logLevel: "warning",
});
