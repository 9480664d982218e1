// @ts-check
/** An answer as what it is: values folded, a picture, sound, video, text, or a file to keep. None of it ever runs. */

import { PICTURES, copies, make, size } from "./dom.js";
import { filename, mediaType } from "./izzati.js";

const TEXT = /^text\/|[/+](json|xml|x?html|javascript|ecmascript|yaml|x-yaml|toml|sql|x-sh|x-ndjson)\b/;
/** Bytes of text that are shown, and of values and drawings that are taken apart. */
const [LONGEST, LARGEST] = [200_000, 8_000_000];
/** Of values: characters of a string that are shown, and members of a list that are shown at once. */
const [LONGEST_STRING, AT_ONCE] = [20_000, 100];

/** @type {string[]} addresses of what is shown, until the next answer comes */
let addresses = [];

/**
 * What to show of an answer.
 * @param {Response} response
 * @returns {Promise<HTMLElement[]>}
 */
export async function shown(response) {
  addresses.forEach((address) => URL.revokeObjectURL(address));
  addresses = [];
  const type = mediaType(response);
  const blob = await response.blob();
  const name = filename(response);
  const sight = blob.size
    ? ((await asValues(type, blob)) ?? (await asMedium(type, blob, name)) ?? (await asText(type, blob)))
    : null;
  const note = blob.size ? (sight ? "" : "A file came back.") : "Nothing came back, and nothing went wrong.";
  return [
    ...(note ? [make("p", {}, note)] : []),
    ...(sight ? [sight] : []),
    ...(blob.size ? [keeping(blob, name, type, sight)] : []),
  ];
}

/** @param {string} type @param {Blob} blob */
async function asValues(type, blob) {
  if ((type !== "application/json" && !type.endsWith("+json")) || blob.size > LARGEST) return null;
  const text = await blob.text();
  try {
    return tree(parse(text));
  } catch {
    return null;
  }
}

/** @param {string} type @param {Blob} blob @param {string} name */
async function asMedium(type, blob, name) {
  if (PICTURES.has(type)) return picture(address(blob, type), name);
  // A drawing may hold a program. As a picture it does not run, and opened by itself, as data, it is of no origin.
  if (type === "image/svg+xml" && blob.size < LARGEST) return picture(await dataAddress(blob, type), name);
  const kind = /^(audio|video)\//.exec(type)?.[1];
  if (!kind) return null;
  const player = make(kind, { controls: true });
  if (!player.canPlayType(type)) return null;
  player.src = address(blob, type);
  return player;
}

/** @param {string} type @param {Blob} blob */
async function asText(type, blob) {
  if (!TEXT.test(type)) return null;
  const text = await blob.slice(0, LONGEST).text();
  const cut = blob.size > LONGEST ? `\n… and more: all of it is ${size(blob.size)}.` : "";
  const shown = make("pre", { tabIndex: 0, className: "text" }, text + cut);
  shown.setAttribute("aria-label", "The answer as text");
  return shown;
}

/** A picture, once it has its size, or word of one that is none. @param {string} source @param {string} name */
async function picture(source, name) {
  const image = make("img", {
    src: source,
    alt: name ? `The answer: ${name}` : "The answer, a picture",
    className: "picture",
  });
  const isLoaded = await new Promise((resolve) => {
    image.onload = () => resolve(true);
    image.onerror = () => resolve(false);
  });
  return isLoaded ? image : make("p", {}, "A picture came back that this browser cannot show.");
}

/**
 * Ways to keep the answer. It is saved as bytes of no kind, so that no browser opens it as a page of this one's origin.
 * @param {Blob} blob @param {string} name @param {string} type @param {HTMLElement | null} sight
 */
function keeping(blob, name, type, sight) {
  const download =
    name || `answer${{ "application/json": ".json", "text/plain": ".txt", "image/png": ".png" }[type] ?? ""}`;
  const save = make("a", { href: address(blob, "application/octet-stream"), download, className: "button" }, "Save");
  const what = make("span", { className: "quiet" }, `${name ? `${name}, ` : ""}${size(blob.size)}`);
  const line = make("p", { className: "keeping" }, save, what);
  if (sight && blob.size < LONGEST && (TEXT.test(type) || type.endsWith("json"))) {
    const whole = make("pre", { hidden: true });
    const button = make("button", { type: "button", className: "plain" }, "Copy");
    blob.text().then((text) => (whole.textContent = text));
    copies(button, () => whole);
    save.after(button, whole);
  }
  return line;
}

/**
 * JSON whose numbers stay as they were written: a browser's own have 53 bits.
 * @param {string} text
 */
function parse(text) {
  return JSON.parse(
    text,
    /** @type {any} */ (
      (/** @type {string} */ key, /** @type {any} */ value, /** @type {any} */ context) =>
        typeof value === "number" && context?.source && String(value) !== context.source
          ? new Written(context.source)
          : value
    ),
  );
}

class Written {
  /** @param {string} source */
  constructor(source) {
    this.source = source;
  }
}

/** @param {any} value @param {number} [depth] @returns {HTMLElement} */
export function tree(value, depth = 0) {
  if (!isContainer(value)) return scalar(value);
  const pairs = Array.isArray(value) ? value.map((each, index) => [index, each]) : Object.entries(value);
  if (!pairs.length) return make("span", { className: "quiet" }, "empty");
  const list = make(Array.isArray(value) ? "ol" : "ul", { className: "tree" });
  const more = make("button", { type: "button", className: "plain" });
  const grow = () => {
    const from = list.querySelectorAll(":scope > li").length;
    more.remove();
    list.append(...pairs.slice(from, from + AT_ONCE).map(([key, each]) => member(String(key), each, depth)));
    const left = pairs.length - from - AT_ONCE;
    if (left > 0) {
      more.textContent = `Show more of ${left.toLocaleString("en")}`;
      list.append(more);
    }
  };
  more.addEventListener("click", grow);
  grow();
  return list;
}

/** @param {string} key @param {any} value @param {number} depth */
function member(key, value, depth) {
  const name = make("span", { className: "key" }, key);
  if (!isContainer(value)) return make("li", {}, name, " ", scalar(value));
  const length = Object.keys(value).length;
  if (!length) return make("li", {}, name, " ", tree(value));
  const unit = Array.isArray(value) ? "item" : "field";
  const count = make("span", { className: "quiet" }, `${length.toLocaleString("en")} ${unit}${length > 1 ? "s" : ""}`);
  const fold = make("details", {}, make("summary", {}, name, " ", count));
  // Made when it is first opened: an answer may hold more than a page can.
  const unfold = () => fold.children.length > 1 || fold.append(tree(value, depth + 1));
  fold.addEventListener("toggle", unfold);
  if (depth < 2 && length <= 20) {
    fold.open = true;
    unfold();
  }
  return make("li", {}, fold);
}

/** @param {any} value */
const isContainer = (value) => Object(value) === value && !(value instanceof Written);

/** @param {any} value */
function scalar(value) {
  if (value === "") return make("span", { className: "quiet" }, "empty");
  if (value instanceof Written) return make("span", { className: "number" }, value.source);
  const text = String(value);
  const cut = text.length > LONGEST_STRING ? ` … and more: ${text.length.toLocaleString("en")} characters in all.` : "";
  return make("span", { className: typeof value }, text.slice(0, LONGEST_STRING) + cut);
}

/** @param {Blob} blob @param {string} type the one it shall have, whatever the server said besides */
function address(blob, type) {
  const made = URL.createObjectURL(new Blob([blob], { type }));
  addresses.push(made);
  return made;
}

/** @param {Blob} blob @param {string} type @returns {Promise<string>} */
function dataAddress(blob, type) {
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.readAsDataURL(new Blob([blob], { type }));
  });
}
