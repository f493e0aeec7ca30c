// Pictures and clips of the query: dropped, pasted or picked, shown with a way to take them back.

import { at, icon, make } from "./dom.js";

let files = [];
let changed = () => {};
const addresses = new Map();

export const given = () => files;

export function show(wanted) {
  for (const [one, address] of addresses) {
    if (!wanted.includes(one)) {
      URL.revokeObjectURL(address);
      addresses.delete(one);
    }
  }
  files = wanted;
  at("given").replaceChildren(...files.map(chip));
}

export function setUp(onChange) {
  changed = onChange;
  at("files").addEventListener("change", (event) => {
    add(event.target.files);
    event.target.value = "";
  });
  document.addEventListener("paste", (event) => {
    if (add(event.clipboardData.files)) event.preventDefault();
  });
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0;
  const over = (count) => {
    depth = Math.max(0, count);
    at("drop").classList.toggle("over", depth > 0);
  };
  document.addEventListener("dragenter", (event) => holdsFiles(event) && over(depth + 1));
  document.addEventListener("dragleave", (event) => holdsFiles(event) && over(depth - 1));
  document.addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    over(0);
    add(event.dataTransfer.files);
  });
}

function add(list) {
  const known = [...list].flatMap((file) => {
    const kind = kindOf(file);
    return kind ? [{ kind, file }] : [];
  });
  if (list.length && !known.length) changed("Only pictures and clips can be searched by.");
  if (!known.length) return false;
  show([...files, ...known].slice(-4));
  changed(null);
  return true;
}

function kindOf(file) {
  const kind = file.type.split("/")[0];
  if (kind === "image" || kind === "video") return kind;
  if (/\.(heic|heif|hif)$/i.test(file.name)) return "image"; // of no type to most browsers
  return /\.(mkv|mp4|mov|webm|avi|m4v)$/i.test(file.name) ? "video" : null;
}

function chip(one) {
  const address = addresses.get(one) ?? URL.createObjectURL(one.file);
  addresses.set(one, address);
  const shown =
    one.kind === "image"
      ? make("img", { src: address, alt: one.file.name })
      : make("video", { src: address, muted: true, preload: "metadata", "aria-label": one.file.name });
  shown.addEventListener("error", () => shown.replaceWith(make("span", {}, one.file.name)));
  const away = () => {
    show(files.filter((other) => other !== one));
    at("text").focus();
    changed(null);
  };
  return make(
    "li",
    {},
    shown,
    make("button", { type: "button", "aria-label": `Take away ${one.file.name}`, onclick: away }, icon("close")),
  );
}
