import { call } from "./engine.js";
import { language } from "./strings.js";

let regions = null;

/**
 * The countries that a number can be from, `[region, "Name +44"]`, by name; the one chosen last in
 * this session, `recent`, stands first.
 */
export async function countries(recent) {
  regions ??= await call("regions");
  const names = new Intl.DisplayNames(language(), { type: "region" });
  const options = regions.map(({ region, calling }) => {
    // The calling code is isolated, so that it reads +44 in right-to-left text too.
    return [region, `${names.of(region)} \u2066+${calling}\u2069`];
  });
  const { compare } = new Intl.Collator(language());
  options.sort((one, other) => compare(one[1], other[1]));
  const first = options.filter(([region]) => region === recent);
  return [...first, ...options];
}
