// Certificates and findings.

import { byId, count, el, prose, replace, value } from "./dom.js";

/** As many findings exist at once; a button shows more. */
const STEP = 100;

const has = (words, text) => words.every((word) => text.toLowerCase().includes(word));

/** Shows the certificates that contain all words, and returns their number. */
export function showCertificates(document_, words) {
  const body = byId("certificates-body");
  const shown = document_.certificates.filter(({ name, hosts, names }) => has(words, [name, ...hosts, ...names].join(" ")));
  if (shown.length === 0) {
    const text = document_.certificates.length ? "No certificate contains these words." : "No certificate is served, so there is no HTTPS. Findings say why a certificate is left out.";
    replace(body, el("p.empty", {}, text));
    return 0;
  }
  const head = ["Secret", "Hosts", "Names in the certificate", "Key", "Expires"];
  replace(body, el("div.scroll", { tabindex: "0", role: "region", "aria-labelledby": "certificates-title" }, el("table", {},
    el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, shown.map(certificateRow)),
  )));
  return shown.length;
}

function certificateRow({ name, hosts, names, keyType, validFrom, validTo, daysLeft }) {
  const list = (all) => all.map((item) => el("div", {}, value(item)));
  return el("tr", {},
    el("th", { scope: "row" }, value(name)),
    el("td", {}, hosts.length ? list(hosts) : el("span.muted", {}, "clients without one of the other hosts")),
    el("td", {}, list(names)),
    el("td", {}, keyType),
    el("td", {}, el(`span.days.${urgency(daysLeft)}`, {}, daysLeft < 0 ? "expired" : count(daysLeft, "day") + " left"),
      el("div.muted", {}, `${validFrom} to ${validTo}`)),
  );
}

function urgency(daysLeft) {
  if (daysLeft < 0) return "error";
  return daysLeft < 14 ? "warning" : "fine";
}

let limit = STEP;

/** Shows the findings that contain all words, and returns their number. */
export function showFindings(document_, words, isNew = true) {
  if (isNew) limit = STEP;
  const text = ({ severity, code, at, object, field, message }) => [severity, code, at, object, field, message].join(" ");
  const shown = document_.findings.filter((finding) => has(words, text(finding)));
  const more = el("button", { type: "button", onclick: () => {
    limit += STEP;
    showFindings(document_, words, false);
  } }, `Show ${Math.min(STEP, shown.length - limit)} more`);
  const none = document_.findings.length ? "No finding contains these words." : "Nothing to correct: all objects are served as written.";
  replace(byId("findings-body"),
    shown.length === 0 && el("p.empty", {}, none),
    shown.slice(0, limit).map((finding) => showFinding(document_, finding)),
    shown.length > limit && more,
  );
  return shown.length;
}

export function findingSummary({ severity, code, message }) {
  return [el(`span.severity.${severity}`, {}, severity), " ", prose(message), " ", el("code", {}, code)];
}

function showFinding(document_, finding) {
  const { severity, code, at, object, field, message, excerpt } = finding;
  const { summary, explanation, example } = document_.codes[code];
  return el(`article.finding.${severity}`, {},
    el("h3", {}, el(`span.severity.${severity}`, {}, severity), " ", el("span", {}, value(object ?? summary)), " ", el("code.code", {}, code)),
    field && el("p.field-path", {}, value(field)),
    el("p.message", {}, prose(message)),
    at && el("figure.excerpt", {},
      el("figcaption", {}, value(at)),
      excerpt.length > 0 && el("pre", { tabindex: "0", "aria-label": `Lines of ${at}` }, excerpt.map(showLine)),
    ),
    el("details", {}, el("summary", {}, "What it means and what to do"),
      el("p.explanation", {}, el("strong", {}, prose(summary))),
      paragraphs(explanation).map((text) => el("p.explanation", {}, prose(text))),
      example && el("pre", { tabindex: "0", "aria-label": "Example" }, example.replace(/^```.*\n?/gm, "").trim())),
  );
}

/** The paragraphs of a page, with the lines of each joined, except for items of lists. */
function paragraphs(text) {
  return text.split(/\n\n+/).filter((part) => !part.startsWith("```")).map((part) => part.replace(/\n(?!\* )/g, " "));
}

function showLine({ number, parts }) {
  const isMarked = parts.length === 3;
  const [before, at, after] = parts;
  const text = isMarked ? [before, at ? el("mark", {}, at) : "", after] : before;
  return el(`span.line${isMarked ? ".marked" : ""}`, {}, el("span.number", { "aria-hidden": "true" }, number), el("span.code", {}, text), "\n");
}
