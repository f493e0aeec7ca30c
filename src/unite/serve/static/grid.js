// Results as a grid of cards, moved through by the arrow keys.

import { at, icon, make, placed, times } from "./dom.js";

const grid = at("grid");
const LOOK = 250; // milliseconds for which a pointer rests before a clip plays

export function clear() {
  grid.replaceChildren();
  grid.removeAttribute("aria-busy");
}

export function wait() {
  grid.setAttribute("aria-busy", "true");
  grid.replaceChildren(...Array.from({ length: 12 }, () => make("li", { className: "card ghost" })));
}

export function add(hits, first, onOpen, onLike) {
  grid.removeAttribute("aria-busy");
  grid.append(...hits.map((hit, number) => card(hit, first + number, onOpen, onLike)));
}

export function focus(number) {
  const card = grid.children[Math.min(Math.max(number, 0), grid.children.length - 1)];
  card?.querySelector("button.open")?.focus();
}

// What else the hit stands for.
function further(hit) {
  const parts = [];
  if (hit.segments) parts.push(`+${hit.segments} ${hit.segments === 1 ? "part" : "parts"}`);
  if (hit.copies.length) parts.push(`+${hit.copies.length} ${hit.copies.length === 1 ? "copy" : "copies"}`);
  return parts.length ? make("span", { className: "further", title: hit.copies.join("\n") }, parts.join(", ")) : null;
}

function card(hit, number, onOpen, onLike) {
  const words = `${hit.name}, ${hit.modality}${times(hit) ? `, ${times(hit)}` : ""}`;
  const open = make(
    "button",
    { type: "button", className: "open", "aria-label": words, onclick: () => onOpen(number) },
    preview(hit),
    hit.kind === "video" ? make("span", { className: "time" }, icon("play"), times(hit)) : null,
  );
  const like = make(
    "button",
    {
      type: "button",
      className: "round like",
      title: "More like this",
      "aria-label": `More like ${hit.name}`,
      onclick: () => onLike(hit),
    },
    icon("like"),
  );
  open.addEventListener("keydown", (event) => {
    if (event.key === "m" && !event.ctrlKey && !event.metaKey && !event.altKey) onLike(hit);
    else move(event, number);
  });
  if (hit.kind === "video") playOnLook(open, hit);
  return make(
    "li",
    { className: `card ${hit.kind}` },
    open,
    like,
    make(
      "div",
      { className: "caption" },
      make("span", { className: "file", title: hit.path }, hit.name),
      make(
        "span",
        { className: "facts" },
        make("span", { className: `badge ${hit.modality.split("+")[0]}` }, hit.modality),
        further(hit),
        make("span", { className: "score", title: "Cosine with the query" }, hit.score.toFixed(3)),
      ),
    ),
  );
}

function preview(hit) {
  if (hit.thumbnail === null) return make("span", { className: "words" }, hit.text || hit.name);
  const image = make("img", { src: hit.thumbnail, alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("error", () =>
    image.replaceWith(make("span", { className: "words none" }, "No preview")),
  );
  return image;
}

function playOnLook(open, hit) {
  let timer = 0;
  let clip = null;
  const begin = () => {
    timer = setTimeout(() => {
      clip = make("video", { src: placed(hit), muted: true, loop: true, playsInline: true });
      clip.addEventListener("playing", () => clip?.classList.add("shown"));
      clip.addEventListener("error", end);
      open.append(clip);
      clip.play().catch(() => {}); // a pointer that has left again
    }, LOOK);
  };
  const end = () => {
    clearTimeout(timer);
    clip?.remove();
    clip = null;
  };
  open.addEventListener("pointerenter", begin);
  open.addEventListener("pointerleave", end);
}

function move(event, number) {
  const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  const step = steps[event.key];
  if (event.key === "Home") focus(0);
  else if (event.key === "End") focus(grid.children.length - 1);
  else if (step === undefined) return;
  else if (number + step < 0) at("text").focus();
  else focus(number + step);
  event.preventDefault();
}
