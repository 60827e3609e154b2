// The state that a link holds: the view, the filter, the selection and the request. It is
// in the fragment, which browsers do not send.

const FIELDS = ["method", "url", "client", "sni", "random"];

/** What the address says. */
export function read() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const request = { headers: parameters.getAll("header").join("\n") };
  for (const field of FIELDS) request[field] = parameters.get(field) ?? "";
  return {
    view: ["certificates", "findings"].includes(parameters.get("view")) ? parameters.get("view") : "routes",
    filter: parameters.get("filter") ?? "",
    selected: parameters.get("selected") ?? "",
    request: request.url ? request : null,
  };
}

/** The fragment of a state. */
export function fragment({ view, filter, selected, request }) {
  const parameters = new URLSearchParams();
  if (view !== "routes") parameters.set("view", view);
  if (filter) parameters.set("filter", filter);
  if (selected) parameters.set("selected", selected);
  if (request) {
    for (const field of FIELDS) {
      const isDefault = field === "method" && request.method === "GET";
      if (request[field] && !isDefault) parameters.set(field, request[field]);
    }
    for (const header of lines(request.headers)) parameters.append("header", header);
  }
  return `#${parameters}`;
}

export function lines(text) {
  return (text ?? "").split("\n").map((line) => line.trim()).filter((line) => line !== "");
}

/** Changes the address; `push` adds an entry to the history. */
export function write(state, push = false) {
  const next = fragment(state);
  if (next === location.hash || (next === "#" && location.hash === "")) return;
  history[push ? "pushState" : "replaceState"](null, "", next);
}
