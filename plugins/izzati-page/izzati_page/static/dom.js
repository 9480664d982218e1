// @ts-check
/** What the page is made of: elements, words for sizes, and text to the clipboard. */

/** The element of this id, which the page has. @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/**
 * Make an element. Its children become text or stand as they are: nothing that arrives is ever read as markup.
 * @param {string} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Show some text there, or nothing at all. @param {HTMLElement} element @param {string} text */
export function tell(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

/** A number of bytes, in the units that izzati's limits have. @param {number} bytes */
export function size(bytes) {
  if (bytes < 1024) return bytes === 1 ? "1 byte" : `${bytes} bytes`;
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), 4);
  const value = bytes / 1024 ** power;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${["", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

/** How long something took, as people say it. @param {number} seconds */
export function duration(seconds) {
  return seconds < 10 ? `${seconds.toFixed(seconds < 1 ? 2 : 1)} seconds` : elapsed(seconds);
}

/** How long something takes so far. @param {number} seconds */
export function elapsed(seconds) {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/**
 * A button that copies the text of an element.
 * @param {HTMLButtonElement} button
 * @param {() => HTMLElement} where
 */
export function copies(button, where) {
  const words = button.textContent;
  button.addEventListener("click", async () => {
    button.textContent = (await copy(where())) ? "Copied" : "Copy by hand: it is selected";
    button.addEventListener("blur", () => (button.textContent = words), { once: true });
  });
  button.setAttribute("aria-live", "polite");
}

/** @param {HTMLElement} element @returns {Promise<boolean>} */
async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent ?? "");
    return true;
  } catch {
    // Browsers give the clipboard only to pages that came by TLS, or from this machine; the old way works everywhere.
    getSelection()?.selectAllChildren(element);
    return document.execCommand("copy");
  }
}

/** Pictures that a browser shows as such and as nothing else, wherever they are opened. */
export const PICTURES = new Set(["png", "jpeg", "gif", "webp", "avif", "bmp", "x-icon"].map((kind) => `image/${kind}`));
