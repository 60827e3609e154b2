// What is selected: a host, a path with its rules in order, or a service.

import { append, byId, count, el, replace, value } from "./dom.js";
import { findingSummary } from "./lists.js";
import { at, versionTags } from "./tree.js";

/** Shows a node of the tree; `way` is that of the request, if there is one. */
export function showDetails(document_, node, way) {
  const body = byId("selected-body");
  if (!node) {
    replace(body, el("p.empty", {}, "Select a host, a path or a service to see its rules, or try a request."));
    return;
  }
  const show = { host: showHost, route: showRoute, target: showTarget }[node.kind];
  replace(body, show(document_, node, way));
}

export function facts(...entries) {
  const shown = entries.filter(([, content]) => content !== undefined && content !== null && content !== "" && content !== false);
  if (shown.length === 0) return null;
  return el("dl.facts", {}, shown.map(([name, content]) => el("div", {}, el("dt", {}, name), el("dd", {}, content))));
}

function showHost(document_, { host, children }) {
  const certificate = host.certificate;
  return [
    el("h3", {}, host.names.map((name, index) => [index > 0 && ", ", value(name)])),
    facts(
      ["Paths", count(children.length, "path")],
      ["Certificate", certificate ? value(certificate) : "none: plain HTTP only, or the default certificate"],
      ["Other paths", host.hasDefault && document_.default ? "the default backend" : "404"],
    ),
  ];
}

function showRoute(document_, node, way) {
  const { route, backend, parent } = node;
  const isLit = way && way.route === node.index && way.host === (parent?.index ?? null);
  const object = route.ingress && `Ingress ${route.ingress}`;
  const related = document_.findings.filter((finding) => finding.object === object);
  const plaintext = { redirect: "redirected to HTTPS", refuse: "404: the path is served over HTTPS only" }[route.plaintext];
  return [
    el("h3", {}, parent && value(parent.host.names.join(", ")), parent && " ", value(route.path)),
    facts(
      ["Match", route.kind],
      ["Ingress", route.ingress && value(route.ingress)],
      ["Field", route.field && value(route.field)],
      ["Position", route.at && value(route.at)],
      ["Plain HTTP", plaintext],
      ["Service", value(route.port ? `${route.backend}, port ${route.port}` : route.backend)],
    ),
    el("h4", {}, "Rules, the first that matches applies"),
    el("ol.rules", {},
      backend.rules.map((rule, index) => showRule(document_, node, rule, isLit && way.rule === index)),
      showRule(document_, node, { name: "", match: [], action: backend.default, isDefault: true }, isLit && way.rule === null),
    ),
    related.length > 0 && [el("h4", {}, "Findings"), el("ul.related", {}, related.map((finding) => el("li", {}, findingSummary(finding))))],
  ];
}

function showRule(document_, { route, backend }, rule, isLit) {
  const conditions = rule.match.length > 0
    ? rule.match.map((condition) => el("li", {}, value(condition)))
    : el("li", {}, rule.isDefault ? "no rule matches" : "every request");
  const item = el("li.rule", {},
    el("div.rule-head", {},
      el("span.name", {}, rule.name ? value(rule.name) : "default"),
      rule.at && el("span.at", {}, value(rule.at)),
      isLit && el("span.applies", {}, "applies to the request"),
    ),
    el("div.rule-body", {},
      el("div.when", {}, el("span.word", {}, "if"), el("ul", {}, conditions)),
      el("div.then", {}, el("span.word", {}, "then"), el("ul", {}, actionItems(document_, backend, route.port, rule.action))),
    ),
  );
  item.classList.toggle("lit", Boolean(isLit));
  return item;
}

function actionItems(document_, backend, port, action) {
  const targets = (action.targets ?? []).map((target) => {
    const cluster = at(backend, port, target.cluster);
    return el("li", {}, target.percent && [el("span.percent", {}, target.percent), " "], targetName(document_, cluster));
  });
  return [
    targets,
    action.summary && el("li", {}, value(action.summary)),
    (action.details ?? []).map((detail) => el("li", {}, value(detail))),
  ];
}

/** A cluster as its service and version. */
export function targetName(document_, cluster) {
  if (!cluster) return "no cluster: 503";
  const details = document_.clusters[cluster];
  if (!details) return value(cluster);
  return [value(`${details.service}:${details.port}`), versionTags(details).map((tag) => [" ", tag])];
}

function showTarget(document_, { cluster, details, uses }) {
  const used = uses.map(({ rule, percent }) => el("li", {},
    rule ? ["rule ", value(rule)] : "the default", percent && `: ${percent} of the requests`));
  return [
    el("h3", {}, targetName(document_, cluster)),
    details && facts(
      ["Cluster", value(cluster)],
      ["Protocol", details.protocol],
      ["TLS", details.tls && value(details.tls)],
      ["Sessions", details.sticky && "a client stays at one endpoint"],
      ["Endpoints", endpoints(details.endpoints)],
    ),
    el("h4", {}, "Used by"),
    el("ul.plain", {}, used),
  ];
}

function endpoints(all) {
  const SHOWN = 50;
  if (all.length === 0) return "none: requests get 503";
  const list = el("ul.plain", {}, all.slice(0, SHOWN).map((endpoint) => el("li", {}, value(endpoint))));
  if (all.length > SHOWN) append(list, [el("li", {}, `and ${all.length - SHOWN} more`)]);
  return list;
}
