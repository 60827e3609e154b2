// The page: fetches the document, follows its changes, and keeps the link up to date.

import { announce, byId, count, replace, value } from "./dom.js";
import { showDetails } from "./details.js";
import { showCertificates, showFindings } from "./lists.js";
import * as link from "./link.js";
import { Tree } from "./tree.js";
import { TrialForm, attempt, hideOutcome, showError, showOutcome } from "./trial.js";

const NARROW = matchMedia("(max-width: 60rem)");
const VIEWS = { routes: "Routes", certificates: "Certificates", findings: "Findings" };

const tree = new Tree((node) => {
  update({ selected: node.key });
  showSelected();
});
const form = new TrialForm((request) => {
  if (request === null) return;
  update({ request, selected: "", view: "routes" }, true);
  showView();
  tryRequest().then(() => {
    // In a narrow window, the outcome is below the tree.
    if (!NARROW.matches) return;
    byId("outcome").scrollIntoView();
  });
});

let version = null;
let document_ = null;
let state = link.read();
let way = null;

function update(changes, push = false) {
  state = { ...state, ...changes };
  link.write(state, push);
}

let asked = 0;
let answered = 0;

/** Fetches the newest document and shows it. An older one may arrive later. */
async function refresh() {
  const turn = ++asked;
  const response = await fetch("state.json");
  if (!response.ok) throw new Error((await response.text()).trim());
  const newest = await response.json();
  if (turn < answered || newest.version === version) return;
  answered = turn;
  const isUpdate = version !== null;
  ({ version, document: document_ } = newest);
  const routes = tree.show(document_);
  byId("routes-count").textContent = routes.toLocaleString("en");
  byId("certificates-count").textContent = document_.certificates.length.toLocaleString("en");
  showFindingsCount();
  showOrigin();
  await (isUpdate ? showDocument(false) : showAll());
  document.documentElement.dataset.version = version;
  if (isUpdate) announce(`The page was updated: ${count(routes, "path")}, ${count(document_.findings.length, "finding")}`);
}

/** Shows what the link says. */
async function showAll() {
  byId("filter").value = state.filter;
  if (state.request) form.write(state.request);
  await showDocument(true);
}

/** Shows the document; not the link, because the user may be typing a request or a filter. */
async function showDocument(revealsSelected) {
  showFilter();
  showView();
  if (state.request) await tryRequest();
  if (state.selected) tree.select(state.selected, revealsSelected);
  showSelected();
}

function showFindingsCount() {
  const badge = byId("findings-count");
  const errors = document_.findings.filter(({ severity }) => severity === "error").length;
  badge.textContent = document_.findings.length.toLocaleString("en");
  badge.classList.toggle("error", errors > 0);
}

function showOrigin() {
  const { origin, watched, problem, complete, objects } = document_;
  const from = [...origin.paths, ...(origin.live ? ["the cluster"] : [])].join(", ");
  replace(byId("origin"), `${count(objects, "object")} of `, value(from));
  byId("read-again").hidden = watched && !origin.live;
  const text = problem ?? (complete ? "" : "Some manifests could not be read, so objects may be missing. See the findings.");
  byId("problem").hidden = text === "";
  replace(byId("problem"), text && value(problem ? `This is not the newest state: ${text}` : text));
  showFollowing(true);
}

function showFollowing(isConnected) {
  const { watched, origin } = document_ ?? {};
  const following = byId("following");
  const text = watched ? "follows the files" : origin?.live ? "read once" : "not watched";
  following.textContent = isConnected ? text : "disconnected; start ingressctl ui again";
  following.classList.toggle("lost", !isConnected);
  following.classList.toggle("watched", isConnected && Boolean(watched));
}

function showView() {
  for (const view of Object.keys(VIEWS)) byId(view).hidden = view !== state.view;
  for (const item of document.querySelectorAll("[data-view]")) {
    if (item.dataset.view === state.view) item.setAttribute("aria-current", "page");
    else item.removeAttribute("aria-current");
  }
  document.title = `${VIEWS[state.view]} · ingressctl`;
}

/** Applies the filter to all views. Returns what it shows in the current one. */
function showFilter() {
  const words = state.filter.toLowerCase().split(/\s+/).filter((word) => word);
  const numbers = {
    routes: [tree.filter(state.filter), "path"],
    certificates: [showCertificates(document_, words), "certificate"],
    findings: [showFindings(document_, words), "finding"],
  };
  const [routes] = numbers.routes;
  byId("tree-empty").hidden = routes > 0;
  byId("tree-empty").textContent = state.filter ? "No path contains these words." : "No path is served. The findings may say why.";
  const [number, noun] = numbers[state.view];
  return count(number, noun);
}

function showSelected() {
  showDetails(document_, state.selected ? tree.find(state.selected) : null, way);
}

async function tryRequest() {
  const request = state.request;
  const outcome = byId("outcome");
  outcome.setAttribute("aria-busy", "true");
  try {
    const answer = await attempt(request);
    if (request !== state.request) return;
    if (answer.version !== version) {
      const before = version;
      await refresh();
      // Otherwise it has tried the request with the newest state.
      return version === before ? tryRequest() : undefined;
    }
    if (answer.error !== null) {
      light(null);
      showError(answer.error);
    } else {
      const { way: indexes, explanation } = answer.outcome;
      const node = light(indexes && { ...indexes, cluster: explanation.cluster });
      showOutcome(document_, answer.outcome, node);
      // A link may have another selection.
      if (node && !(state.selected && tree.find(state.selected))) {
        update({ selected: node.key });
        tree.select(node.key);
      }
    }
  } catch (error) {
    if (request !== state.request) return;
    light(null);
    showError(`The request could not be tried: ${error.message}`);
  } finally {
    outcome.removeAttribute("aria-busy");
  }
  showSelected();
  document.documentElement.dataset.tried = JSON.stringify(request);
}

function light(indexes) {
  way = indexes;
  return tree.light(indexes);
}

/** Follows the changes of the document, unless the page is hidden. */
function follow() {
  let events = null;
  const connect = () => {
    events = new EventSource("events");
    events.addEventListener("open", () => showFollowing(true));
    events.addEventListener("message", ({ data }) => { if (data !== version) refresh().catch(showFailure); });
    events.addEventListener("error", () => showFollowing(false));
  };
  // A browser has six connections to a server, for all of its tabs.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      events?.close();
      events = null;
    } else if (!events) connect();
  });
  addEventListener("pagehide", () => events?.close());
  connect();
}

function showFailure(error) {
  byId("problem").hidden = false;
  byId("problem").textContent = `The page could not be read: ${error.message}`;
}

function listen() {
  let pending;
  byId("filter").addEventListener("input", ({ target }) => {
    clearTimeout(pending);
    pending = setTimeout(() => {
      update({ filter: target.value.trim() });
      announce(`${showFilter()} shown`);
      document.documentElement.dataset.filtered = state.filter;
    }, 60);
  });
  for (const item of document.querySelectorAll("[data-view]")) {
    item.addEventListener("click", (event) => {
      event.preventDefault();
      update({ view: item.dataset.view }, true);
      showView();
    });
  }
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("content").focus();
  });
  byId("read-again").addEventListener("click", async ({ target }) => {
    target.disabled = true;
    const response = await fetch("read-again", { method: "POST" }).catch(() => null);
    target.disabled = false;
    if (!response?.ok) return showFollowing(false);
    await refresh().catch(showFailure);
    announce("The objects were read again");
  });
  addEventListener("popstate", () => {
    state = link.read();
    if (!state.request) {
      light(null);
      hideOutcome();
    }
    showAll();
  });
  addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input, textarea");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    byId("filter").focus();
  });
}

listen();
refresh().then(follow, showFailure);
