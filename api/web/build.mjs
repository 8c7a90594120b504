// Bundles the pages into dist/: hashed names, a manifest for the templates, every file compressed.
import { readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";
import { trimmedPlans } from "./numbering.mjs";

const DONE = "dist";
const OUT = "dist-new/";
const { dependencies } = JSON.parse(await readFile("package.json", "utf8"));

await rm(OUT, { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: {
    app: "src/page/app.js",
    desk: "src/page/desk.js",
    public: "src/page/public.js",
    worker: "src/worker/main.js",
    style: "src/style.css",
  },
  outdir: OUT,
  entryNames: "[name]-[hash]",
  chunkNames: "part-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  minify: true,
  plugins: [trimmedPlans],
  legalComments: "none", // all licences stand in one file, below
  metafile: true,
});

const entries = {};
for (const [path, output] of Object.entries(metafile.outputs)) {
  if (output.entryPoint && !path.includes("/part-")) {
    const name = path.slice(OUT.length).replace(/-[A-Z0-9]{8}\.\w+$/, "");
    entries[name] = { file: path.slice(OUT.length), imports: staticImports(path) };
  }
}
const licences = [];
for (const name of Object.keys(dependencies)) {
  const folder = `node_modules/${name}/`;
  const file = (await readdir(folder)).find((one) => /^licen[cs]e/i.test(one));
  licences.push(`${name}\n\n${await readFile(folder + file, "utf8")}`);
}
await writeFile(`${OUT}licences.txt`, licences.join("\n\n"));
for (const file of await readdir(OUT)) {
  const content = await readFile(OUT + file);
  await writeFile(`${OUT}${file}.br`, brotliCompressSync(content));
  await writeFile(`${OUT}${file}.gz`, gzipSync(content, { level: 9 }));
}
await writeFile(`${OUT}manifest.json`, JSON.stringify(entries, null, 1));
// Only what was built to the end takes the place of what is there.
await rm(DONE, { recursive: true, force: true });
await rename(OUT, DONE);

/** The files that a bundle needs before it can run, without itself. */
function staticImports(path, found = new Set()) {
  for (const one of metafile.outputs[path].imports) {
    if (one.kind === "import-statement" && !found.has(one.path)) {
      found.add(one.path);
      staticImports(one.path, found);
    }
  }
  return [...found].map((file) => file.slice(OUT.length)).sort();
}
