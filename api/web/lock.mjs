// Takes out of the lock file what names a host: packages are fetched by name and hash alone.
import { readFile, writeFile } from "node:fs/promises";

const lock = JSON.parse(await readFile("package-lock.json", "utf8"));
for (const one of Object.values(lock.packages)) {
  delete one.resolved;
  delete one.funding;
}
await writeFile("package-lock.json", `${JSON.stringify(lock, null, 2)}\n`);
