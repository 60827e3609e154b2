// Hosts, their paths, and the services and versions behind them, as a tree. Only the rows
// that are visible exist, so that a hundred thousand paths are as fast as ten.

import { append, byId, count, el, value } from "./dom.js";

const ROW = 30;
/** Rows that exist above and below the visible ones. */
const SPARE = 12;
/** With at most this many paths, the services of all are shown at first. */
const FEW = 40;

export class Tree {
  #tree = byId("tree");
  #rows = byId("rows");
  #document = null;
  #nodes = [];
  #visible = [];
  #closed = new Set();
  #open = new Set();
  #words = [];
  #active = "";
  #selected = "";
  #way = null;
  #onSelect;

  constructor(onSelect) {
    this.#onSelect = onSelect;
    this.#tree.addEventListener("scroll", () => this.#render(), { passive: true });
    this.#tree.addEventListener("keydown", (event) => this.#key(event));
    this.#tree.addEventListener("click", (event) => this.#click(event));
    new ResizeObserver(() => this.#render()).observe(this.#tree);
  }

  /** Shows another document, with the same rows open. */
  show(document_) {
    const isFirst = this.#document === null;
    this.#document = document_;
    this.#nodes = nodesOf(document_);
    const routes = this.#nodes.flatMap((node) => node.kind === "host" ? node.children : [node]);
    if (isFirst && routes.length <= FEW) for (const route of routes) this.#open.add(route.key);
    this.#flatten();
    return routes.length;
  }

  /** Shows the paths that contain all words, and returns their number. */
  filter(text) {
    const words = text.toLowerCase().split(/\s+/).filter((word) => word);
    // An update of the document has the same ones.
    if (words.join(" ") !== this.#words.join(" ")) this.#tree.scrollTop = 0;
    this.#words = words;
    return this.#flatten();
  }

  /** The node with this key, wherever it is. */
  find(key) {
    for (const node of this.#nodes) {
      if (node.key === key) return node;
      if (!key.startsWith(node.key)) continue;
      for (const child of node.children) {
        if (child.key === key) return child;
        if (!key.startsWith(child.key)) continue;
        for (const grandchild of child.children) if (grandchild.key === key) return grandchild;
      }
    }
    return null;
  }

  /** Marks a row as selected, and opens what is above it. */
  select(key, isVisible = false) {
    this.#selected = key;
    const node = key && this.find(key);
    if (node) {
      this.#active = key;
      if (isVisible) this.#reveal(node);
    }
    this.#flatten();
    if (node && isVisible) this.#scrollTo(key);
  }

  /** Lights up the way of a request; `null` puts it out. */
  light(way) {
    this.#way = way;
    const node = way && this.#nodeOf(way);
    if (!node) {
      this.#flatten();
      return null;
    }
    this.#reveal(node.children[0] ?? node);
    this.#flatten();
    this.#scrollTo(node.key);
    return node;
  }

  #nodeOf({ host, route }) {
    if (host === null) return this.#nodes.find((node) => node.kind === "route") ?? null;
    return this.#nodes.find((node) => node.index === host)?.children[route] ?? null;
  }

  #reveal(node) {
    for (let above = node.parent; above; above = above.parent) {
      if (above.kind === "host") this.#closed.delete(above.key);
      else this.#open.add(above.key);
    }
  }

  #isOpen(node) {
    if (node.children.length === 0) return false;
    return node.kind === "host" ? !this.#closed.has(node.key) : this.#open.has(node.key);
  }

  #matches(node) {
    return this.#words.every((word) => node.text.includes(word)) || this.#isLit(node);
  }

  #isLit(node) {
    const way = this.#way;
    if (!way) return false;
    switch (node.kind) {
      case "host": return node.index === way.host;
      case "route": return node.index === way.route && (node.parent?.index ?? null) === way.host;
      default: return this.#isLit(node.parent) && (way.cluster ?? null) === node.cluster;
    }
  }

  /** Lists the rows that are not hidden, and returns the number of paths among the matching. */
  #flatten() {
    const rows = [];
    let routes = 0;
    const add = (node, level, position, size) => rows.push({ node, level, position, size });
    const addRoute = (route, level, position, size) => {
      add(route, level, position, size);
      if (!this.#isOpen(route)) return;
      route.children.forEach((target, at) => add(target, level + 1, at + 1, route.children.length));
    };
    for (const [at, node] of this.#nodes.entries()) {
      if (node.kind === "route") {
        if (!this.#matches(node)) continue;
        routes += 1;
        addRoute(node, 1, at + 1, this.#nodes.length);
        continue;
      }
      const shown = this.#words.length ? node.children.filter((it) => this.#matches(it)) : node.children;
      if (shown.length === 0 && !this.#matches(node)) continue;
      routes += shown.length;
      add(node, 1, at + 1, this.#nodes.length);
      if (this.#isOpen(node)) shown.forEach((it, index) => addRoute(it, 2, index + 1, shown.length));
    }
    this.#visible = rows;
    if (!rows.some(({ node }) => node.key === this.#active)) this.#active = rows[0]?.node.key ?? "";
    this.#rows.style.height = `${rows.length * ROW}px`;
    this.#render();
    return routes;
  }

  #render() {
    const first = Math.max(0, Math.floor(this.#tree.scrollTop / ROW) - SPARE);
    const last = Math.ceil((this.#tree.scrollTop + this.#tree.clientHeight) / ROW) + SPARE;
    const shown = this.#visible.slice(first, last);
    this.#rows.replaceChildren(...shown.map((row, at) => this.#row(row, first + at)));
    const index = this.#indexOf(this.#active);
    if (index >= first && index < last) this.#tree.setAttribute("aria-activedescendant", `row-${index}`);
    else this.#tree.removeAttribute("aria-activedescendant");
  }

  #row({ node, level, position, size }, index) {
    const hasChildren = node.children.length > 0;
    const isLit = this.#isLit(node);
    const row = el(`div.row.${node.kind}`, {
      id: `row-${index}`,
      role: "treeitem",
      "aria-level": level,
      "aria-posinset": position,
      "aria-setsize": size,
      "aria-expanded": hasChildren ? String(this.#isOpen(node)) : null,
      "aria-selected": String(node.key === this.#selected),
    });
    row.dataset.index = index;
    row.style.setProperty("--level", level);
    row.style.transform = `translateY(${index * ROW}px)`;
    row.classList.toggle("active", node.key === this.#active);
    row.classList.toggle("lit", isLit);
    append(row, [
      el("span.twisty", { "aria-hidden": "true" }, hasChildren ? "›" : ""),
      labelOf(node),
      isLit && el("span.hidden", {}, ", on the way of the request"),
    ]);
    return row;
  }

  #indexOf(key) {
    return this.#visible.findIndex(({ node }) => node.key === key);
  }

  #scrollTo(key) {
    const top = this.#indexOf(key) * ROW;
    const height = this.#tree.clientHeight;
    const isVisible = top >= this.#tree.scrollTop && top + ROW <= this.#tree.scrollTop + height;
    if (!isVisible) this.#tree.scrollTop = Math.max(0, top - height / 3);
    this.#render();
  }

  #activate(index) {
    const row = this.#visible[Math.max(0, Math.min(index, this.#visible.length - 1))];
    if (!row) return;
    this.#active = row.node.key;
    this.#scrollTo(this.#active);
  }

  #toggle(node, isOpen) {
    if (node.children.length === 0) return;
    const [set, isMember] = node.kind === "host" ? [this.#closed, !isOpen] : [this.#open, isOpen];
    set[isMember ? "add" : "delete"](node.key);
    this.#flatten();
  }

  #choose(node) {
    this.#selected = node.key;
    this.#active = node.key;
    this.#render();
    this.#onSelect(node);
  }

  #click(event) {
    const row = event.target.closest(".row");
    if (!row) return;
    const { node } = this.#visible[Number(row.dataset.index)];
    if (event.target.closest(".twisty")) this.#toggle(node, !this.#isOpen(node));
    this.#choose(node);
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const index = this.#indexOf(this.#active);
    const node = this.#visible[index]?.node;
    if (!node) return;
    const page = Math.max(1, Math.floor(this.#tree.clientHeight / ROW) - 1);
    const actions = {
      ArrowDown: () => this.#activate(index + 1),
      ArrowUp: () => this.#activate(index - 1),
      PageDown: () => this.#activate(index + page),
      PageUp: () => this.#activate(index - page),
      Home: () => this.#activate(0),
      End: () => this.#activate(this.#visible.length - 1),
      ArrowRight: () => this.#isOpen(node) ? this.#activate(index + 1) : this.#toggle(node, true),
      ArrowLeft: () => {
        if (this.#isOpen(node)) this.#toggle(node, false);
        else if (node.parent) this.#activate(this.#indexOf(node.parent.key));
      },
      Enter: () => this.#choose(node),
      " ": () => this.#choose(node),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}

/** The hosts and the default backend, with what is below them. */
function nodesOf(document_) {
  const backends = new Map(document_.backends.map((backend) => [backend.name, backend]));
  const targets = new Map();
  const severities = severitiesOf(document_);
  const nodes = document_.hosts.map((host, index) => {
    const node = { kind: "host", key: host.names[0], index, host, parent: null };
    const names = host.names.join(" ").toLowerCase();
    node.text = names;
    node.children = host.routes.map((route, at) =>
      routeNode(document_, backends, targets, route, at, node, names));
    for (const child of node.children) child.severity = severities.get(placeOf(child.route));
    return node;
  });
  if (document_.default) {
    nodes.push(routeNode(document_, backends, targets, document_.default, null, null, "*"));
  }
  return nodes;
}

const placeOf = ({ ingress, field }) => `Ingress ${ingress} ${field}`;

/** The severity of the worst finding about each path. */
function severitiesOf({ findings }) {
  const worst = new Map();
  const order = ["note", "warning", "error"];
  for (const { object, field, severity } of findings) {
    const path = field?.match(/^spec\.rules\[\d+\]\.http\.paths\[\d+\]/)?.[0];
    if (!path) continue;
    const place = `${object} ${path}`;
    if (order.indexOf(severity) > order.indexOf(worst.get(place))) worst.set(place, severity);
  }
  return worst;
}

function routeNode(document_, backends, cache, route, index, parent, names) {
  const key = parent ? `${parent.key} ${route.kind} ${route.path}` : "default backend";
  const backend = backends.get(route.backend);
  const node = { kind: "route", key, index, route, backend, parent };
  node.text = `${names} ${route.path} ${route.ingress ?? ""} ${route.backend}`.toLowerCase();
  const behind = `${route.backend} ${route.port ?? ""}`;
  if (!cache.has(behind)) cache.set(behind, targetsOf(backend, route.port));
  // Made when it is needed: most paths are never opened.
  let children;
  Object.defineProperty(node, "children", {
    get: () => children ??= cache.get(behind).map((target) => ({
      kind: "target",
      key: `${key} > ${target.cluster ?? "no cluster"}`,
      parent: node,
      children: [],
      ...target,
      details: document_.clusters[target.cluster],
    })),
  });
  return node;
}

/** The clusters of a backend, each once, with the rules that use it. */
function targetsOf(backend, port) {
  const found = new Map();
  const actions = [...backend.rules.map((rule) => [rule.name, rule.action]), ["", backend.default]];
  for (const [rule, action] of actions) {
    for (const target of action.targets ?? []) {
      const cluster = at(backend, port, target.cluster);
      const known = found.get(cluster) ?? { cluster, uses: [] };
      known.uses.push({ rule, percent: target.percent });
      found.set(cluster, known);
    }
  }
  return [...found.values()];
}

/** The cluster of a port in place of that of the actions. */
export function at(backend, port, cluster) {
  const clusters = backend.ports?.find(({ name }) => name === port)?.clusters;
  return cluster && clusters && cluster in clusters ? clusters[cluster] : cluster ?? null;
}

function labelOf(node) {
  switch (node.kind) {
    case "host": return [
      el("span.label", {}, value(node.host.names.join(", "))),
      el("span.extra", {}, count(node.children.length, "path")),
    ];
    case "route": return [
      el("span.label", {}, value(node.route.path)),
      node.severity && el(`span.severity.${node.severity}`, {}, node.severity),
      node.route.kind && node.route.kind !== "prefix" && el("span.tag", {}, node.route.kind),
      node.route.plaintext && el("span.tag", {}, "HTTPS only"),
      node.backend?.rules.length > 0 && el("span.tag", {}, count(node.backend.rules.length, "rule")),
      node.backend?.default.summary && node.backend.rules.length === 0
        ? el("span.extra.failed", {}, node.backend.default.summary)
        : el("span.extra", {}, value(node.route.backend)),
    ];
    default: return [
      el("span.label", {}, serviceName(node)),
      versionTags(node.details),
      el("span.extra", {}, usage(node.uses)),
    ];
  }
}

/** Which rules use a cluster. */
function usage(uses) {
  if (uses.length > 1) return `${uses.length} rules`;
  const [{ rule, percent }] = uses;
  return percent ?? (rule ? "1 rule" : "default");
}

function serviceName({ cluster, details }) {
  if (!cluster) return "no cluster: 503";
  return details ? value(`${details.service}:${details.port}`) : value(cluster);
}

export function versionTags(details) {
  return Object.entries(details?.version ?? {}).map(([name, label]) => el("span.tag.version", {}, value(`${name}=${label}`)));
}
