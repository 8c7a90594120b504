/**
 * Makes an element. `props` are attributes (true: without a value; false, null, undefined: left out),
 * but for `on: {event: listener}`, and `value` and `checked`, which are set as properties.
 * Children are nodes or text; arrays are flattened; null, undefined and false are skipped.
 */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  const { on = {}, value, checked, ...attributes } = props ?? {};
  for (const [name, content] of Object.entries(attributes)) {
    if (content !== false && content !== null && content !== undefined) {
      node.setAttribute(name, content === true ? "" : content);
    }
  }
  for (const [event, listener] of Object.entries(on)) node.addEventListener(event, listener);
  node.append(...shown(children));
  // After its children: a select knows no value before its options.
  if (value !== undefined) node.value = value;
  if (checked !== undefined) node.checked = checked;
  return node;
}

/** Puts `children`, as for `h`, in the place of all that `node` holds. */
export function replace(node, ...children) {
  node.replaceChildren(...shown(children));
}

/** Lets a screen reader say `text`, also if it is what was said last. */
export function announce(text) {
  const live = document.getElementById("live");
  live.textContent = "";
  setTimeout(() => (live.textContent = text), 50);
}

/** Moves the focus to `node`, whether or not one can usually focus on it; returns it. */
export function focusOn(node) {
  if (node.tabIndex < 0) node.setAttribute("tabindex", "-1");
  node.focus();
  return node;
}

function shown(children) {
  return children
    .flat(Infinity)
    .filter((one) => one !== null && one !== undefined && one !== false);
}
