const SHAPES = {
  danger: "M8 2h8l6 6v8l-6 6H8l-6-6V8z",
  risk: "M12 2 23 21H1z",
  nuisance: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  none: "M4 4h16v16H4z",
  failed: "M12 1 23 12 12 23 1 12z",
};
const SVG = "http://www.w3.org/2000/svg";

/**
 * A small drawing for a severity (octagon, triangle, circle), for `none` (an empty square) or
 * `failed` (a broken diamond). It only repeats what words beside it say.
 */
export function shape(name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("class", `shape shape-${name}`);
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[name]);
  drawing.append(path);
  return drawing;
}
