// The page: what is asked stands in the address, so that back and forward lead through searches.

import * as api from "./api.js";
import { at, make } from "./dom.js";
import * as given from "./given.js";
import * as grid from "./grid.js";
import * as status from "./status.js";
import * as viewer from "./viewer.js";

const kept = new Map(); // the files of earlier searches, by number; an address cannot hold them
let hits = [];
let next = null; // the cursor of the next page
let query = null;
let asking = null;

function asked() {
  return {
    text: at("text").value.trim(),
    instruction: at("instruction").value.trim(),
    files: given.given(),
    like: "",
    only: status.only(),
    where: at("where").value.trim(),
  };
}

const isEmpty = (one) => !one.text && !one.files.length && !one.like;

function go(wanted) {
  const words = new URLSearchParams();
  for (const key of ["text", "instruction", "like", "only", "where"]) {
    if (wanted[key]) words.set(key, wanted[key]);
  }
  const media = wanted.files.length ? Math.random() : null;
  if (media !== null) kept.set(media, wanted.files);
  const address = `#${words}`;
  const same = address === location.hash && media === null && history.state?.media == null;
  if (same) history.replaceState({ media }, "", address);
  else history.pushState({ media }, "", address);
  run(wanted);
}

function fromAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  const wanted = { files: kept.get(history.state?.media) ?? [] };
  for (const key of ["text", "instruction", "like", "only", "where"]) wanted[key] = words.get(key) ?? "";
  at("text").value = wanted.text;
  at("instruction").value = wanted.instruction;
  at("where").value = wanted.where;
  given.show(wanted.files);
  status.choose(wanted.only);
  run(wanted);
}

async function run(wanted) {
  query = wanted;
  hits = [];
  next = null;
  asking?.abort();
  notice(null);
  at("summary").replaceChildren();
  at("more").hidden = true;
  document.body.classList.toggle("idle", isEmpty(wanted));
  if (isEmpty(wanted)) return grid.clear();
  grid.wait();
  await ask(null);
}

async function ask(further) {
  const mine = (asking = new AbortController());
  try {
    const found = await api.search(query, further, mine.signal);
    if (mine.signal.aborted) return;
    if (further === null) grid.clear();
    grid.add(found.hits, hits.length, (number) => viewer.open(hits, number), like);
    hits.push(...found.hits);
    next = found.cursor;
    tell(found);
  } catch (error) {
    if (mine.signal.aborted) return;
    if (further === null) grid.clear();
    failed(error, () => (further === null ? run(query) : ask(further)));
  } finally {
    if (asking === mine) asking = null;
  }
}

function tell(found) {
  at("more").hidden = next === null;
  if (!hits.length) {
    const filtered = query.only || query.where;
    at("summary").replaceChildren(
      make("p", { className: "nothing" }, filtered ? "Nothing in the library passes the filter." : "Nothing was found."),
    );
    return;
  }
  const count = `${hits.length}${next ? " nearest" : ""} ${hits.length === 1 ? "result" : "results"}`;
  const parts = [make("strong", {}, count)];
  if (hits.some((hit) => hit.modality !== hits[0].modality)) parts.push(make("span", { className: "shares" }, shares()));
  parts.push(make("span", { className: "how" }, found.how));
  if (query.like) parts.unshift(resembling());
  at("summary").replaceChildren(make("p", {}, ...parts));
}

// How many of the hits are of each modality, most first.
function shares() {
  const counts = new Map();
  for (const hit of hits) counts.set(hit.modality, (counts.get(hit.modality) ?? 0) + 1);
  return [...counts]
    .sort((one, other) => other[1] - one[1])
    .map(([label, count]) => `${label} ${count}`)
    .join(", ");
}

function resembling() {
  const image = make("img", { src: `v1/items/${query.like}/thumbnail`, alt: "" });
  image.addEventListener("error", () => image.remove());
  return make("span", { className: "resembling" }, image, "More like this");
}

function like(hit) {
  at("text").value = "";
  given.show([]);
  window.scrollTo({ top: 0 });
  go({ ...asked(), like: hit.id, instruction: "" });
}

function failed(error, again) {
  if (error.status === 401) return askToken(again);
  const retry = () => {
    notice(null);
    again();
  };
  const passing = error.status === 0 || error.status === 429 || error.status >= 500;
  notice(
    make("p", {}, error.message),
    passing ? make("button", { type: "button", onclick: retry }, "Try again") : null,
  );
}

function askToken(again) {
  const field = make("input", { type: "password", id: "token", autocomplete: "current-password", required: true });
  const submit = (event) => {
    event.preventDefault();
    api.present(field.value.trim());
    notice(null);
    start().then(again);
  };
  const form = make("form", { onsubmit: submit }, make("label", { htmlFor: "token" }, "This library asks for a token"), field, make("button", { type: "submit" }, "Enter"));
  notice(form);
  field.focus();
}

function notice(...parts) {
  const shown = parts.filter((part) => part !== null);
  at("notice").hidden = !shown.length;
  at("notice").replaceChildren(...shown);
}

async function start() {
  try {
    await status.follow();
  } catch (error) {
    failed(error, () => start());
  }
}

function further() {
  if (next === null || asking !== null) return;
  const from = next;
  next = null;
  ask(from);
}

function keys(event) {
  const typing = event.target.matches?.("input:not([type=file])");
  if (event.key === "/" && !typing && !at("viewer").open) {
    event.preventDefault();
    at("text").focus();
    at("text").select();
  } else if (event.target === at("text") && event.key === "ArrowDown") {
    event.preventDefault();
    grid.focus(0);
  } else if (event.target === at("text") && event.key === "Escape") {
    at("text").value = "";
  }
}

at("search-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (isEmpty(asked())) at("text").focus();
  else go(asked());
});
const filtered = () => {
  const now = asked();
  if (isEmpty(now) && query?.like) now.like = query.like;
  if (!isEmpty(now)) go(now);
};
for (const field of ["where", "instruction"]) at(field).addEventListener("change", filtered);
status.setUp(filtered);
given.setUp((complaint) => {
  if (complaint) notice(make("p", {}, complaint));
  else if (!isEmpty(asked())) go(asked());
  else run(asked());
});
viewer.setUp({ onLike: like, onClose: (number) => grid.focus(number) });
at("more").addEventListener("click", further);
new IntersectionObserver(([entry]) => entry.isIntersecting && further(), { rootMargin: "800px" }).observe(at("after"));
document.addEventListener("keydown", keys);
window.addEventListener("popstate", fromAddress);
start();
fromAddress();
if (document.body.classList.contains("idle")) at("text").focus();
