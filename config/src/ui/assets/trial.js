// A request to try, and what happens with it.

import { announce, append, byId, el, prose, replace, value } from "./dom.js";
import { facts, targetName } from "./details.js";
import { lines } from "./link.js";

/** As many candidates are shown at first. */
const SHOWN = 12;

export class TrialForm {
  #form = byId("trial");

  constructor(onSubmit) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      onSubmit(this.read());
    });
    this.#form.elements.headers.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#form.requestSubmit();
    });
  }

  /** The request in the form; `null` without a URL. */
  read() {
    const { method, url, headers, client, sni, random } = this.#form.elements;
    if (url.value.trim() === "") {
      url.focus();
      return null;
    }
    return {
      method: method.value.trim() || "GET",
      url: url.value.trim(),
      headers: lines(headers.value).join("\n"),
      client: client.value.trim(),
      sni: sni.value.trim(),
      random: random.value.trim(),
    };
  }

  write(request) {
    const fields = this.#form.elements;
    for (const name of ["url", "headers", "client", "sni", "random"]) fields[name].value = request?.[name] ?? "";
    fields.method.value = request?.method || "GET";
    if (request?.headers || request?.client || request?.sni || request?.random) byId("more").open = true;
  }
}

/** Asks the module. */
export async function attempt(request) {
  const body = {
    method: request.method || "GET",
    url: request.url,
    headers: lines(request.headers),
    client: request.client || null,
    sni: request.sni || null,
    // Not a number, which would be exact only up to 2^53.
    random: request.random || null,
  };
  const response = await fetch("try", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error((await response.text()).trim());
  return response.json();
}

/** Removes the outcome. */
export function hideOutcome() {
  byId("outcome").hidden = true;
}

export function showError(text) {
  byId("outcome").hidden = false;
  replace(byId("outcome-body"), el("p.headline.failed", { role: "alert" }, value(text)));
}

/** Shows what happens; `node` is the path in the tree that serves the request. */
export function showOutcome(document_, outcome, node) {
  const { request, explanation } = outcome;
  const url = `${request.scheme}://${request.authority}${request.target}`;
  byId("outcome").hidden = false;
  replace(byId("outcome-body"),
    el("p.asked", {}, el("span.method", {}, value(request.method)), " ", value(url)),
    el(`p.headline.${tone(explanation)}`, {}, el("strong.result", {}, result(document_, explanation)), el("span.reason", {}, value(explanation.reason))),
    way(document_, explanation, node),
    explanation.hints.map((hint) => el("p.hint", {}, prose(hint))),
    consequences(document_, request, explanation),
    rules(explanation),
    candidates(outcome),
  );
  announce(`${byId("outcome-body").querySelector(".result").textContent}: ${explanation.reason}`);
}

function tone({ status, cluster }) {
  if (cluster && status === null) return "forwarded";
  return status !== null && status < 400 ? "answered" : "failed";
}

function result(document_, { cluster, status, grpc_status: grpc, location }) {
  if (cluster && status === null) return ["to ", targetName(document_, cluster)];
  if (status === null) return "not forwarded, no cluster";
  return [String(status), grpc !== null && `, gRPC status ${grpc}`, location !== null && [" to ", value(location)]];
}

/** The way of the request: host, path, rule, service. */
function way(document_, explanation, node) {
  if (!node) return null;
  const steps = [
    ["Host", value(explanation.virtual_host ?? node.parent?.host.names.join(", ") ?? "*")],
    ["Path", [node.route.kind && `${node.route.kind} `, value(node.route.path)]],
  ];
  if (explanation.status === null || explanation.rules.some(({ chosen }) => chosen)) {
    steps.push(["Rule", explanation.route_rule ? value(explanation.route_rule) : "default"]);
  }
  if (explanation.cluster && explanation.status === null) steps.push(["Service", targetName(document_, explanation.cluster)]);
  return el("ol.way", { "aria-label": "The way of the request" },
    steps.map(([name, content]) => el("li", {}, el("span.step", {}, name), el("span.what", {}, content))));
}

function consequences(document_, request, explanation) {
  const original = explanation.request_headers["x-envoy-original-path"];
  const normalized = original ?? explanation.path;
  const isRewritten = original !== undefined || explanation.host !== request.authority;
  const shares = explanation.split.map(({ cluster, weight }) => el("div", {}, `${weight} `, targetName(document_, cluster)));
  const headers = (all) => Object.entries(all).map(([name, text]) => el("div", {}, value(`${name}: ${text}`)));
  return facts(
    ["Certificate", explanation.certificate && value(explanation.certificate)],
    ["Normalised path", normalized !== request.target && value(normalized)],
    ["At the upstream", explanation.status === null && isRewritten && value(`${explanation.host}${explanation.path}`)],
    ["Picked by weight", shares.length > 0 && shares],
    ["Mirrored", explanation.mirror && ["to ", targetName(document_, explanation.mirror)]],
    ["Delayed", explanation.delay_ms !== null && `by ${explanation.delay_ms} ms`],
    ["Timeout", explanation.timeout_ms !== null && `${explanation.timeout_ms} ms, then 504`],
    ["Retries", explanation.retries !== null && retries(explanation)],
    ["WebSocket", explanation.websocket && "allowed"],
    ["Request headers", headers(explanation.request_headers).length > 0 && headers(explanation.request_headers)],
    ["Response headers", headers(explanation.response_headers).length > 0 && headers(explanation.response_headers)],
  );
}

function retries({ retries: attempts, per_try_timeout_ms: ms }) {
  return ms === null ? `at most ${attempts}` : `at most ${attempts}, ${ms} ms per try`;
}

function rules({ rules: all, status }) {
  if (all.length === 0) return null;
  const isDefault = !all.some(({ chosen }) => chosen) && status === null;
  const items = all.map(({ name, chosen, verdict: why }, index) => verdict(chosen, name || `rule ${index}`, why));
  return [
    el("h3", {}, "Rules"),
    el("ol.verdicts", {}, items, isDefault && verdict(true, "default", "no rule matches")),
  ];
}

function candidates({ explanation, omitted }) {
  const all = explanation.candidates;
  if (all.length === 0) return null;
  const item = ({ host, path, backend, chosen, verdict: why }) =>
    verdict(chosen, [value(host), " ", value(path), el("span.muted", {}, " → ", value(backend))], why);
  // The one that serves the request is first.
  const sorted = [...all].sort((one, other) => Number(other.chosen) - Number(one.chosen));
  const list = el("ul.verdicts", {}, sorted.slice(0, SHOWN).map(item));
  const rest = sorted.slice(SHOWN);
  const more = el("button", { type: "button", onclick: () => {
    append(list, rest.map(item));
    if (omitted > 0) append(list, [el("li.muted", {}, `and ${omitted.toLocaleString("en")} more paths`)]);
    more.remove();
    list.children[SHOWN].tabIndex = -1;
    list.children[SHOWN].focus();
  } }, `Show ${(rest.length + omitted).toLocaleString("en")} more`);
  return [el("h3", {}, "Candidates"), list, rest.length > 0 && more];
}

function verdict(chosen, name, why) {
  const item = el("li", {},
    el("span.mark", { "aria-hidden": "true" }, chosen ? "✓" : "–"),
    el("span.candidate", {}, typeof name === "string" ? value(name) : name),
    el("span.why", {}, value(why)));
  item.classList.toggle("lit", chosen);
  return item;
}
