// What the library holds, how far indexing is, and the filters that follow from it.

import * as api from "./api.js";
import { at, make } from "./dom.js";

const OFTEN = 1500; // milliseconds between two looks while indexing runs
const SELDOM = 15000;
const NAMES = { image: "Images", video: "Videos", text: "Texts" };
let chosen = new Set();
let onChange = () => {};
let shown = "";

export const only = () => [...chosen].join(",");

export function choose(list) {
  chosen = new Set(list.split(",").filter(Boolean));
  mark();
}

export function setUp(changed) {
  onChange = changed;
}

// Fails as the first look does; later ones are quiet, as a search tells what is wrong.
export async function follow() {
  show(await api.library());
  const again = async () => {
    let wait = SELDOM;
    try {
      if (!document.hidden) wait = show(await api.library());
    } catch {
      wait = SELDOM;
    }
    setTimeout(again, wait);
  };
  setTimeout(again, at("indexing").hidden ? SELDOM : OFTEN);
}

function show(library) {
  const count = library.count.toLocaleString("en");
  document.title = `${library.name} · UNITE`;
  at("library").textContent = `${library.name} · ${count} ${library.count === 1 ? "item" : "items"}`;
  at("library").title = `Model: ${library.model} (${library.dim} numbers a vector)`;
  kinds(library.modalities);
  const now = library.indexing;
  at("indexing").hidden = now === null;
  document.body.classList.toggle("empty", library.count === 0);
  if (now === null) return SELDOM;
  const failed = now.failed ? `, ${now.failed.toLocaleString("en")} failed` : "";
  const [done, total] = [now.done.toLocaleString("en"), now.total.toLocaleString("en")];
  at("indexing-words").textContent = `Indexing ${done} of ${total}${failed}`;
  at("indexed").max = Math.max(now.total, 1);
  at("indexed").value = now.done;
  return OFTEN;
}

function kinds(modalities) {
  const facts = JSON.stringify(modalities);
  if (facts === shown) return;
  shown = facts;
  const names = Object.keys(modalities);
  at("kinds").replaceChildren(
    ...(names.length < 2 ? [] : names).map((name) =>
      make(
        "button",
        { type: "button", className: "kind", value: name, onclick: () => toggle(name) },
        NAMES[name] ?? name,
        make("span", { className: "count" }, modalities[name].toLocaleString("en")),
      ),
    ),
  );
  mark();
}

function toggle(name) {
  if (!chosen.delete(name)) chosen.add(name);
  mark();
  onChange();
}

function mark() {
  for (const button of at("kinds").children) {
    button.setAttribute("aria-pressed", String(chosen.has(button.value)));
  }
}
