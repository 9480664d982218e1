// @ts-check
/** The page: it reads what the server describes, lets a person fill a form in, sends it, and shows the answer. */

import { shown, tree } from "./answer.js";
import { byId, copies, duration, elapsed, make, size, tell } from "./dom.js";
import { ask, credentials, leave, way } from "./door.js";
import * as form from "./form.js";
import { Problem, post, read } from "./izzati.js";
import { samples } from "./samples.js";

/** What a person is told first, where the server's own words may be those of a programmer. @type {Record<number, string>} */
const WORDS = {
  400: "Something in this does not fit.",
  401: "The server does not know you.",
  403: "This is not allowed.",
  404: "There is no such thing.",
  408: "That took too long.",
  413: "This is too much.",
  415: "This kind of file is not taken.",
  429: "That was too often.",
  500: "That did not work.",
  503: "The server is not able to answer now.",
  507: "The server has no room for this.",
};

/** @type {{ path: string, operation: any }[]} */
let functions = [];
/** @type {{ path: string, operation: any }} */
let current;
/** @type {AbortController | null} */
let sending = null;
/** The name of the file that the function gave last, if it did. */
let saves = "";

/**
 * Read the description, asking for credentials as long as it takes.
 * @param {Response} [response] what came when it was last asked for
 */
async function start(response) {
  tell(byId("trouble"), "");
  try {
    response ??= await description();
    while (response.status === 401) {
      await ask(response);
      response = await description();
    }
    open(await read(response));
  } catch (error) {
    tell(byId("trouble"), /** @type {Error} */ (error).message);
  }
}

/** Without the browser's own credentials, or it would ask for them in a window of its own. @returns {Promise<Response>} */
function description() {
  return fetch("openapi.json", { headers: credentials(), credentials: "omit" }).catch(() => {
    throw new Error("The server could not be reached. Load this page again later.");
  });
}

/** Show what is described. @param {any} description as OpenAPI has it */
function open({ info, paths }) {
  document.title = byId("title").textContent = info.title;
  byId("leave").hidden = !way();
  byId("described").hidden = Boolean(way()); // a link carries no token
  const described = Object.entries(paths).map(([path, { post }]) => ({ path, operation: post }));
  functions = described.filter(({ operation }) => operation); // the page itself is described, too
  byId("menu").hidden = functions.length < 2;
  byId("menu")
    .querySelector("ul")
    .replaceChildren(
      ...functions.map(({ path, operation }) =>
        make("li", {}, make("a", { href: `#${path}` }, label(path, operation))),
      ),
    );
  byId("desk").hidden = false;
  choose();
}

/** Turn to the function that the address of the page names. */
function choose() {
  sending?.abort();
  const asked = plain(location.hash.slice(1));
  const found = functions.findIndex(({ path }) => plain(path) === asked);
  const wanted = Math.max(0, found);
  tell(byId("trouble"), asked && found < 0 ? `There is no function at ${asked}. This is the first one.` : "");
  current = functions[wanted];
  const { operation } = current;
  byId("menu")
    .querySelectorAll("a")
    .forEach((/** @type {HTMLElement} */ link, /** @type {number} */ place) => {
      link.ariaCurrent = place === wanted ? "page" : null;
    });
  byId("summary").textContent = operation.summary;
  tell(byId("description"), operation.description ?? "");
  form.askForPlaces(operation.parameters ?? []);
  clear("It appears here.");
  saves = "";
  describe();
}

/** An address without escapes, as far as they stand for anything. @param {string} path */
function plain(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** A function's name as a person would write it; where another one is told the same, its path. */
function label(/** @type {string} */ path, /** @type {any} */ { operationId, summary }) {
  const words = operationId.replaceAll("_", " ").trim();
  const isAlone = functions.filter(({ operation }) => operation.summary === summary).length === 1;
  return isAlone && words ? words[0].toUpperCase() + words.slice(1) : path;
}

/** Where the function is, its variables filled in. */
function address() {
  const values = form.places();
  const filled = current.path.replace(/\{([^}]*)\}/g, (whole, name) =>
    values[name] ? values[name].split("/").map(encodeURIComponent).join("/") : whole,
  );
  return String(new URL(`.${filled}`, document.baseURI));
}

/** Write the same call as code. */
function describe() {
  if (!current) return; // not yet known
  let text = "{}";
  try {
    text = form.text();
  } catch {
    // Half-written JSON; whoever sends it is told.
  }
  const { value } = byId("program").querySelector("[name=language]:checked");
  byId("sample").textContent = samples[value]({ url: address(), text, files: form.files(), way: way(), saves });
}

/** Send what has been filled in, and show what comes back. */
async function send() {
  const missing = form.missingPlace();
  if (missing) return missing.focus();
  let text;
  try {
    text = form.text();
  } catch (error) {
    return form.mistaken(/** @type {Error} */ (error).message);
  }
  const { signal } = (sending = new AbortController());
  const files = form.files();
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const stopped = wait(seconds);
  clear("Sending …");
  try {
    const response = await post(address(), { text, files, headers: credentials(), signal, progress });
    const body = await response.blob(); // so that it has arrived before its time is told
    const whole = new Response(body.size ? body : null, response);
    await (response.ok ? answered(whole, body, seconds(), signal) : refused(whole, body, seconds(), signal));
  } catch {
    const [words, detail] = await whyUnsent(files);
    if (!signal.aborted) failed(words, { detail });
  } finally {
    stopped();
    if (!signal.aborted) look();
  }
}

/**
 * @param {Response} response @param {Blob} body @param {number} seconds @param {AbortSignal} signal
 */
async function answered(response, body, seconds, signal) {
  const isFile = !/^(application\/json)?$/.test(body.type.split(";")[0]);
  const elements = await shown(response);
  signal.throwIfAborted();
  byId("result").replaceChildren(...elements);
  saves = isFile ? (elements.at(-1)?.querySelector("a")?.download ?? "") : "";
  byId("status").textContent = `It took ${duration(seconds)}.`;
  facts(response, body, seconds);
}

/**
 * @param {Response} response @param {Blob} body @param {number} seconds @param {AbortSignal} signal
 */
async function refused(response, body, seconds, signal) {
  const copy = response.clone();
  const problem = await read(response).catch((error) => error);
  const fields = problem instanceof Problem ? problem.fields : {};
  const rest = response.headers.get("Content-Type")?.startsWith("application/problem+json") ? [] : await shown(copy);
  // The server does not know the person any more; or it does, and the function refuses.
  const door = response.status === 401 ? await description().catch(() => null) : null;
  signal.throwIfAborted();
  failed(WORDS[response.status] ?? WORDS[response.status < 500 ? 400 : 500], fields, rest);
  facts(response, body, seconds);
  if (door?.status === 401) {
    byId("desk").hidden = true;
    start(door);
  }
}

/** Why nothing came back: in short, and in full. @param {File[]} files */
async function whyUnsent(files) {
  for (const file of files) {
    try {
      await file.slice(0, 1).arrayBuffer();
    } catch {
      return ["This could not be sent.", `${file.name} has changed or is gone since it was chosen. Choose it again.`];
    }
  }
  return ["The server could not be reached.", "Check that you are online, and that the server still runs."];
}

/**
 * Say that it did not work, and why.
 * @param {string} words @param {Record<string, any>} fields @param {HTMLElement[]} rest
 */
function failed(words, { type, title, status, detail, hint, ...more }, rest = []) {
  byId("answer").classList.add("failed");
  byId("status").textContent = words;
  const lines = [detail, hint].filter(Boolean).map((line) => make("p", { className: "words" }, String(line)));
  const details = Object.keys(more).length && !rest.length ? [tree(more)] : [];
  byId("result").replaceChildren(...lines, ...details, ...rest);
}

/** @param {Response} response @param {Blob} body @param {number} seconds */
function facts(response, body, seconds) {
  const lines = {
    Status: `${response.status} ${response.statusText}`,
    Time: `${(seconds * 1000).toFixed(0)} ms`,
    Type: response.headers.get("Content-Type") ?? "none",
    Size: size(body.size),
    Request: response.headers.get("X-Request-Id") ?? "",
  };
  const pairs = Object.entries(lines).filter(([, value]) => value);
  byId("facts")
    .querySelector("dl")
    .replaceChildren(...pairs.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  byId("facts").hidden = false;
  describe();
}

/** @param {string} words */
function clear(words) {
  byId("answer").classList.remove("failed");
  byId("status").textContent = words;
  byId("result").replaceChildren();
  byId("facts").hidden = true;
}

/** @param {number} sent @param {number} total */
function progress(sent, total) {
  if (sent < total) byId("bar").value = (100 * sent) / total;
  else byId("bar").removeAttribute("value"); // nobody knows how long the answer takes
  byId("sent").textContent = sent < total ? `${Math.floor((100 * sent) / total)} % of ${size(total)}` : "";
}

/**
 * Show that something is under way.
 * @param {() => number} seconds since it began
 * @returns {() => void} ends it
 */
function wait(seconds) {
  const busy = (/** @type {boolean} */ is) => {
    // Not disabled: it keeps its place and the focus, so that a double click or a second Enter meets it again.
    byId("send").ariaDisabled = is ? "true" : null;
    if (document.activeElement === byId("cancel")) byId("send").focus();
    byId("cancel").hidden = byId("progress").hidden = !is;
  };
  progress(0, 0);
  const ticking = setInterval(() => {
    if (byId("bar").hasAttribute("value")) return;
    byId("sent").textContent = `Waiting, ${elapsed(seconds())} so far`;
  }, 1000);
  busy(true);
  return () => {
    clearInterval(ticking);
    busy(false);
    sending = null;
  };
}

/** On a phone the answer is below what has been filled in. */
const look = () => byId("answer").scrollIntoView({ block: "nearest", behavior: "smooth" });

form.prepare(describe);
byId("host").textContent = location.host;
byId("call").addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  if (!sending) send();
});
byId("cancel").addEventListener("click", () => {
  sending?.abort();
  clear("Cancelled.");
  look();
});
byId("leave").addEventListener("click", () => {
  leave();
  location.reload();
});
byId("program").addEventListener("change", describe);
copies(byId("copy"), () => byId("sample"));
addEventListener("hashchange", choose);
start();
