// Elements, made without markup in strings, so that no name of a file is ever read as HTML.

export const at = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#${name}`);
  svg.append(use);
  return svg;
}

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

export function times(hit) {
  if (hit.start === null && hit.end === null) return "";
  return `${clock(hit.start ?? 0)}–${hit.end === null ? "end" : clock(hit.end)}`;
}

// Where a clip's hit lies in its file, for a player.
export function placed(hit) {
  if (hit.start === null && hit.end === null) return hit.media;
  return `${hit.media}#t=${hit.start ?? 0}${hit.end === null ? "" : `,${hit.end}`}`;
}
