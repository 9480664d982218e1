// @ts-check
/**
 * Calls a function that izzati serves, from a web page, from Node and from React Native. It needs nothing else.
 *
 *     import { send } from "/izzati.js";
 *     const answer = await send("/caption", { text: { name: "Rex" }, files: [photo] });
 *
 * React Native loads no code from servers: keep a copy of this file in the app, and give `send` the whole address.
 */

/**
 * A file to send: a File or Blob; a pair of its name and a Blob or bytes; in React Native what pickers and cameras give.
 * @typedef {Blob | [string, Blob | ArrayBuffer | ArrayBufferView] | { uri: string, name?: string, type?: string }} Upload
 */

/**
 * @typedef {object} Options
 * @property {Record<string, unknown> | string} [text] what the function gets as text: names, and any JSON values; or an
 *   object in JSON, which is sent as it is written, so that numbers of more than 53 bits keep their digits
 * @property {Iterable<Upload>} [files] what it gets as files
 * @property {Record<string, string>} [headers] such as `{ Authorization: "Bearer …" }`
 * @property {AbortSignal} [signal] ends the call; `AbortSignal.timeout(5000)` after 5 seconds
 * @property {(sent: number, total: number) => void} [progress] is told how many bytes have been sent, of how many
 */

/** A refusal (RFC 9457). Its message says what arrived, what was expected, and what to change. */
export class Problem extends Error {
  /**
   * @param {number} status the HTTP status
   * @param {Record<string, any>} fields what the server said: `title`, `detail`, and where they help `hint`, `limit`, …
   */
  constructor(status, fields) {
    super(fields.detail || fields.title || `The server answered with status ${status}.`);
    this.name = "Problem";
    this.status = status;
    this.fields = fields;
  }
}

/**
 * Call a function.
 * @param {string | URL} url its address; in a web page it may be relative to the page
 * @param {Options} [options]
 * @returns {Promise<any>} the value that it returned; if it returned a file a Blob, with `name` and `type`
 * @throws {Problem} if the server refuses, or the function fails
 * @throws {TypeError} if the server cannot be reached, or does not let pages of this origin call; if `files` are none
 * @throws {SyntaxError} if `text` is to go with files, and is not an object in JSON
 */
export async function send(url, options = {}) {
  return read(await post(url, options));
}

/**
 * Call a function, and take its answer as it is.
 * @param {string | URL} url
 * @param {Options} [options]
 * @returns {Promise<Response>} whatever its status
 */
export async function post(url, { text = {}, files = [], headers = {}, signal, progress } = {}) {
  const { body, type } = encode(text, uploads(files));
  const all = { Accept: "application/json, */*;q=0.9", ...(type ? { "Content-Type": type } : {}), ...headers };
  if (signal?.aborted) throw aborted(signal);
  if (progress && typeof XMLHttpRequest !== "undefined") return upload(String(url), body, all, signal, progress);
  /** @type {RequestInit & { duplex?: "half" }} */
  const request = { method: "POST", headers: all, body, signal };
  if (progress) Object.assign(request, { body: counted(new Blob([body]), progress), duplex: "half" });
  return fetch(url, request);
}

/**
 * What an answer says.
 * @param {Response} response
 * @returns {Promise<any>} as `send`
 * @throws {Problem} unless its status is one of success
 */
export async function read(response) {
  const type = mediaType(response);
  if (!response.ok) {
    const said = type === "application/json" || type.endsWith("+json") ? await response.json().catch(() => null) : null;
    throw new Problem(response.status, Object(said) === said ? said : { title: response.statusText });
  }
  if (type === "application/json") return response.json();
  return Object.assign(await response.blob(), { name: filename(response) });
}

/**
 * @param {Response} response
 * @returns {string} its media type, without parameters, in lower case
 */
export function mediaType(response) {
  return (response.headers.get("Content-Type") ?? "").split(";")[0].trim().toLowerCase();
}

/**
 * @param {Response} response
 * @returns {string} the name of the file that it is; empty if it has none (RFC 6266)
 */
export function filename(response) {
  const header = response.headers.get("Content-Disposition") ?? "";
  const extended = /filename\*=UTF-8''([^;\s]+)/i.exec(header);
  try {
    if (extended) return decodeURIComponent(extended[1]);
  } catch {
    // It is not UTF-8; the plain name says enough.
  }
  const plain = /filename=(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))/i.exec(header);
  return plain ? (plain[1]?.replace(/\\(.)/g, "$1") ?? plain[2]) : "";
}

/**
 * One body of text and files. Without files it is JSON. With them it is a form whose parts are typed: text that is no
 * string is JSON, so that numbers, lists and objects arrive as such.
 * @param {Record<string, unknown> | string} text
 * @param {any[]} files
 * @returns {{ body: any, type?: string }} without a type where whoever sends it must choose the boundary
 */
export function encode(text, files) {
  const source = typeof text === "string" ? text : JSON.stringify(text);
  if (!files.length) return { body: source, type: "application/json" };
  const fields = members(source);
  if (files.some((file) => "uri" in file)) return { body: nativeForm(fields, files) };
  // Not by FormData: it can give a part a type only together with a filename, which would make it a file.
  const boundary = `izzati-${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`;
  /** @type {any[]} */
  const parts = [];
  const add = (/** @type {string} */ disposition, /** @type {string} */ type, /** @type {any} */ content) => {
    const head = `Content-Disposition: form-data; ${disposition}${type && `\r\nContent-Type: ${type}`}`;
    parts.push(`--${boundary}\r\n${head}\r\n\r\n`, content, "\r\n");
  };
  for (const [name, json] of fields) {
    const isString = json.startsWith('"');
    add(`name="${escaped(name)}"`, isString ? "" : "application/json", isString ? JSON.parse(json) : json);
  }
  for (const file of files) {
    const [name, content] = Array.isArray(file) ? file : [file.name ?? "file", file];
    const type = (content instanceof Blob && content.type) || "application/octet-stream";
    add(`name="file"; filename="${escaped(name)}"`, type, content);
  }
  return { body: new Blob([...parts, `--${boundary}--\r\n`]), type: `multipart/form-data; boundary=${boundary}` };
}

/**
 * React Native reads files by their address, and only through its own FormData. There a part may have a type alone.
 * @param {[string, string][]} fields
 * @param {any[]} files
 */
function nativeForm(fields, files) {
  const form = new FormData();
  const append = (/** @type {string} */ name, /** @type {any} */ part) => form.append(name, part);
  for (const [name, json] of fields) {
    append(escaped(name), json.startsWith('"') ? JSON.parse(json) : { string: json, type: "application/json" });
  }
  for (const { uri, name = uri.split("/").pop(), type = "application/octet-stream" } of files) {
    append("file", { uri, name, type });
  }
  return form;
}

/**
 * The files that can be sent.
 * @param {unknown} files
 * @returns {any[]}
 */
function uploads(files) {
  const expected = "a File or a Blob, or a pair of its name and a Blob or bytes";
  if (typeof files === "string" || !(/** @type {any} */ (files)?.[Symbol.iterator])) {
    throw new TypeError(`\`files\` is ${told(files)}, and should be a list. Each of it is ${expected}.`);
  }
  const all = [.../** @type {Iterable<any>} */ (files)];
  for (const [place, file] of all.entries()) {
    const content = Array.isArray(file) ? typeof file[0] === "string" && file[1] : file;
    const isSent = typeof (content?.size ?? content?.byteLength) === "number" || typeof file?.uri === "string";
    if (!isSent) throw new TypeError(`\`files[${place}]\` is ${told(file)}, and should be ${expected}.`);
  }
  return all;
}

/** @param {unknown} value @returns {string} */
function told(value) {
  if (Array.isArray(value)) return `[${value.map(told).join(", ")}]`;
  if (Object(value) === value) return `of the kind ${Object.prototype.toString.call(value).slice(8, -1)}`;
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

/**
 * The members of an object, whose values are as they were written.
 * @param {string} source JSON (RFC 8259)
 * @returns {[string, string][]} the name and the JSON of each
 * @throws {SyntaxError} if it is not an object in JSON, or two of its members have one name
 */
export function members(source) {
  let value;
  try {
    value = JSON.parse(source);
  } catch (error) {
    throw new SyntaxError(`This is not JSON: ${/** @type {Error} */ (error).message}`);
  }
  if (Object.prototype.toString.call(value) !== "[object Object]") {
    throw new SyntaxError('Write names and values, such as {"name": "Rex"}.');
  }
  /** @type {Map<string, string>} */
  const found = new Map();
  let [depth, name, start] = [0, "", 0];
  for (const { 0: token, index } of source.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/g)) {
    if (depth === 1 && token === ":") start = index + 1;
    else if (depth === 1 && start && (token === "," || token === "}")) {
      if (found.has(name)) throw new SyntaxError(`The name ${JSON.stringify(name)} is there twice.`);
      found.set(name, source.slice(start, index).trim());
      start = 0;
    } else if (depth === 1 && !start && token.startsWith('"')) name = JSON.parse(token);
    depth += { "{": 1, "[": 1, "}": -1, "]": -1 }[token] ?? 0;
  }
  return [...found];
}

/** @param {string} text what stands in quotes in a header, as izzati and browsers write it */
function escaped(text) {
  /** @type {Record<string, string>} */
  const escapes = { "\\": "\\\\", '"': "%22", "\r": "%0D", "\n": "%0A" };
  return text.replace(/[\\"\r\n]/g, (character) => escapes[character]);
}

/**
 * By XMLHttpRequest, since in browsers fetch tells nothing of an upload's progress.
 * @param {string} url
 * @param {any} body
 * @param {Record<string, string>} headers
 * @param {AbortSignal | undefined} signal
 * @param {(sent: number, total: number) => void} progress
 * @returns {Promise<Response>}
 */
function upload(url, body, headers, signal, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    signal?.addEventListener("abort", abort);
    request.open("POST", url);
    request.responseType = "blob";
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress(event.loaded, event.total);
    request.onload = () => {
      const lines = request.getAllResponseHeaders().trim().split(/\r?\n/);
      const received = new Headers(lines.map((line) => /** @type {[string, string]} */ (line.split(/:\s*(.*)/s, 2))));
      const empty = [204, 205, 304].includes(request.status);
      const { status, statusText } = request;
      resolve(new Response(empty ? null : request.response, { status, statusText, headers: received }));
    };
    request.onerror = () => reject(new TypeError("The server could not be reached, or the connection broke off."));
    request.onabort = () => reject(aborted(signal));
    request.onloadend = () => signal?.removeEventListener("abort", abort);
    request.send(body);
  });
}

/**
 * @param {Blob} body
 * @param {(sent: number, total: number) => void} progress
 */
function counted(body, progress) {
  let sent = 0;
  const count = new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk);
      progress((sent += chunk.byteLength), body.size);
    },
  });
  return body.stream().pipeThrough(count);
}

/** @param {AbortSignal} [signal] */
function aborted(signal) {
  return signal?.reason ?? Object.assign(new Error("The call was ended."), { name: "AbortError" });
}
