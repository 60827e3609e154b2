// Elements from text. Names and values of manifests are hostile: they become text nodes
// and attributes that are not run, never markup.

/** An element with attributes, classes and children; strings become text. */
export function el(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "onclick") element.addEventListener("click", value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  append(element, children);
  return element;
}

export function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === "") continue;
    // Text whose direction is right to left does not reorder its surroundings.
    element.append(child instanceof Node ? child : String(child));
  }
}

/** A name or value of a manifest: its direction does not affect its surroundings. */
export function value(text, classes = "") {
  return el(`bdi.value${classes}`, {}, text);
}

/** A text with code between backticks. */
export function prose(text) {
  const parts = String(text).split("`");
  // A backtick without a partner is text.
  if (parts.length % 2 === 0) return el("bdi.prose", {}, text);
  return el("bdi.prose", {}, parts.map((part, index) => index % 2 === 1 ? el("code", {}, part) : part));
}

export const byId = (id) => document.getElementById(id);

export function replace(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

let pending;

/** Says something to users of screen readers, after a pause in typing. */
export function announce(text) {
  clearTimeout(pending);
  pending = setTimeout(() => { byId("announcer").textContent = text; }, 250);
}

export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}
