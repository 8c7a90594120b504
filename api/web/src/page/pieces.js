/** True for a piece of what was pasted that is an identifier, or may be one in some country. */
export const isPossible = ({ canonical, needsRegion }) => canonical !== null || needsRegion;

/**
 * What is chosen of `pieces`, as the worker's `find` gives them: all possible ones but those whose
 * text is in `off`, up to `most`.
 */
export function chosenOf({ pieces, off }, most) {
  return pieces.filter((one) => isPossible(one) && !off.has(one.text)).slice(0, most);
}
