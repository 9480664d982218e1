// @ts-check
/** Who the person at the page is, where the server asks: a token, or a name and a password. */

import { byId, tell } from "./dom.js";

/** Kept until this tab is closed, and by no other page: nothing that a server answers can read it, since nothing runs. */
const KEY = `izzati ${location.pathname}`;

/** The headers that say it. @returns {Record<string, string>} */
export function credentials() {
  const known = sessionStorage.getItem(KEY);
  return known ? { Authorization: known } : {};
}

/** How it is said: `bearer`, `basic`, or nothing. */
export const way = () => (sessionStorage.getItem(KEY) ?? "").split(" ")[0].toLowerCase();

/** Forget it. */
export const leave = () => sessionStorage.removeItem(KEY);

/**
 * Ask for it, and wait until something has been filled in.
 * @param {Response} refusal
 * @returns {Promise<void>}
 */
export async function ask(refusal) {
  const asked = refusal.headers.get("WWW-Authenticate") ?? "";
  const ways = ["bearer", "basic"].filter((each) => new RegExp(`(^|,)\\s*${each}\\b`, "i").test(asked));
  const problem = await refusal.json().catch(() => ({}));
  tell(byId("refused"), way() ? (problem.detail ?? "That is not known here.") : "");
  leave();
  if (!ways.length) {
    byId("ways").hidden = true;
    throw new Error("This server wants to know who calls in a way that this page does not have.");
  }
  byId("door").hidden = false;
  byId("ways").hidden = ways.length < 2;
  const before = byId("door").elements.way.value;
  choose(ways.includes(before) ? before : ways[0]);
  for (const choice of document.getElementsByName("way")) {
    choice.onchange = () => choose(/** @type {HTMLInputElement} */ (choice).value);
  }
  await new Promise((resolve) => byId("door").addEventListener("submit", resolve, { once: true }));
  byId("door").hidden = true;
}

/** @param {string} chosen */
function choose(chosen) {
  byId("door").elements.way.value = chosen;
  /** @type {NodeListOf<HTMLElement>} */
  const lines = document.querySelectorAll("[data-way]");
  for (const line of lines) {
    line.hidden = line.dataset.way !== chosen;
    /** @type {HTMLInputElement} */ (line.querySelector("input")).required = !line.hidden;
  }
  /** @type {HTMLElement} */ (document.querySelector(`[data-way=${chosen}] input`)).focus();
}

byId("door").addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  const [name, password] = [byId("name").value, byId("password").value];
  const pair = String.fromCharCode(...new TextEncoder().encode(`${name}:${password}`));
  const isBasic = byId("door").elements.way.value === "basic";
  sessionStorage.setItem(KEY, isBasic ? `Basic ${btoa(pair)}` : `Bearer ${byId("token").value.trim()}`);
  for (const id of ["token", "password"]) byId(id).value = "";
});
