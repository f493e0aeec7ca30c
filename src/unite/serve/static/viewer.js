// One result, large: the picture, the clip at its time, or the words, and what is known of it.

import { at, clock, make, placed, times } from "./dom.js";

const viewer = at("viewer");
let hits = [];
let number = 0;
let onClosed = () => {};

export function setUp({ onLike, onClose }) {
  onClosed = onClose;
  at("viewer-close").addEventListener("click", () => viewer.close());
  at("viewer-back").addEventListener("click", () => turn(-1));
  at("viewer-next").addEventListener("click", () => turn(1));
  at("viewer-like").addEventListener("click", () => {
    viewer.close();
    onLike(hits[number]);
  });
  viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());
  viewer.addEventListener("close", () => {
    at("stage").replaceChildren(); // or a clip would play on unseen
    onClosed(number);
  });
  viewer.addEventListener("keydown", (event) => {
    if (event.target.tagName === "VIDEO") return;
    if (event.key === "ArrowLeft") turn(-1);
    else if (event.key === "ArrowRight") turn(1);
    else if (event.key === "m") at("viewer-like").click();
  });
}

export function open(all, wanted) {
  hits = all;
  number = wanted;
  draw();
  viewer.showModal();
}

function turn(step) {
  if (!hits[number + step]) return;
  number += step;
  draw();
}

function draw() {
  const hit = hits[number];
  at("stage").replaceChildren(large(hit));
  at("viewer-name").textContent = hit.name;
  at("viewer-path").textContent = hit.path;
  at("viewer-open").href = hit.media;
  at("viewer-back").disabled = number === 0;
  at("viewer-next").disabled = number === hits.length - 1;
  const facts = [["Result", number + 1], ["Modality", hit.modality], ["Cosine", hit.score.toFixed(4)]];
  if (times(hit)) facts.push(["Time", times(hit)]);
  if (hit.duration) facts.push(["Length", clock(hit.duration)]);
  if (hit.width) facts.push(["Pixels", `${hit.width} × ${hit.height}`]);
  if (hit.tags.length) facts.push(["Tags", hit.tags.join(", ")]);
  at("viewer-facts").replaceChildren(
    ...facts.map(([term, fact]) => make("div", {}, make("dt", {}, term), make("dd", {}, String(fact)))),
  );
}

function large(hit) {
  if (hit.kind === "video") return clip(hit);
  if (hit.kind === "text") return make("blockquote", {}, hit.text);
  const image = make("img", { src: hit.media, alt: hit.name });
  image.addEventListener("error", () =>
    image.replaceWith(instead(hit, "This browser cannot show such a file; this is a copy.", `${hit.thumbnail}&side=1600`)),
  );
  return image;
}

function clip(hit) {
  const video = make("video", {
    src: placed(hit),
    poster: hit.thumbnail ?? "",
    controls: true,
    autoplay: true,
    muted: true,
    playsInline: true,
  });
  video.setAttribute("aria-label", hit.name);
  video.addEventListener("error", () =>
    video.replaceWith(instead(hit, "This browser cannot play the clip. Open the file in a player.")),
  );
  return video;
}

function instead(hit, words, still = hit.thumbnail) {
  return make(
    "div",
    { className: "cannot" },
    hit.thumbnail ? make("img", { src: still, alt: "" }) : null,
    make("p", { className: "none" }, words),
  );
}
