// @ts-check
/** What a person fills in: files, fields or JSON, and the variables of the function's address. */

import { PICTURES, byId, make, size, tell } from "./dom.js";
import { members } from "./izzati.js";

/** @type {Map<File, string | null>} the files that have been chosen, and the addresses of their pictures */
const chosen = new Map();
const rows = byId("rows");
const source = byId("source");
/** @type {() => void} */
let changed = () => {};

/**
 * Make the form work.
 * @param {() => void} onchange is called whenever something in it has changed
 */
export function prepare(onchange) {
  changed = onchange;
  for (const id of ["files", "camera"]) {
    byId(id).addEventListener("change", (/** @type {any} */ event) => {
      addFiles(event.target.files);
      event.target.value = ""; // so that the same file may be chosen again
    });
  }
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    byId("drop").classList.add("over");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget ?? byId("drop").classList.remove("over"));
  document.addEventListener("drop", (event) => {
    byId("drop").classList.remove("over");
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    addFiles(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => addFiles(event.clipboardData?.files ?? []));
  byId("add").addEventListener("click", () => addRow().querySelector("input").focus());
  byId("call").addEventListener("input", () => {
    tell(byId("mistake"), "");
    changed();
  });
  for (const choice of document.getElementsByName("shape")) choice.addEventListener("change", () => reshape());
  source.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("call").requestSubmit();
  });
  addRow();
}

/** The files that will be sent. @returns {File[]} */
export const files = () => [...chosen.keys()];

/**
 * The text that will be sent: an object in JSON, as it is written, since a browser's own numbers have 53 bits.
 * @returns {string}
 * @throws {SyntaxError} with words for the person, if what stands there is none
 */
export function text() {
  if (byId("json").hidden) return JSON.stringify(fields());
  const written = source.value.trim() || "{}";
  members(written);
  return written;
}

/** Say that what stands there cannot be sent. @param {string} words */
export function mistaken(words) {
  tell(byId("mistake"), words);
  (byId("json").hidden ? rows.querySelector("input") : source).focus();
}

/**
 * Ask for the variables of a function's address.
 * @param {{ name: string, schema: any }[]} parameters
 */
export function askForPlaces(parameters) {
  const before = places();
  const asked = parameters.map(({ name, schema }) => {
    const id = `place-${name}`;
    const label = make("label", { htmlFor: id }, name);
    if (schema.enum) {
      const options = schema.enum.map((/** @type {string} */ value) =>
        make("option", { selected: value === before[name] }, value),
      );
      return make("p", {}, label, make("select", { id, name }, ...options));
    }
    const isNumber = ["integer", "number"].includes(schema.type);
    const inputMode = isNumber ? "decimal" : "text";
    return make("p", {}, label, make("input", { id, name, inputMode, required: true, value: before[name] ?? "" }));
  });
  byId("places").replaceChildren(...asked);
  byId("places").hidden = !asked.length;
}

/** Their values. @returns {Record<string, string>} */
export function places() {
  return Object.fromEntries(placeInputs().map((input) => [input.name, input.value]));
}

/** The first of them that is empty, if any. */
export const missingPlace = () => placeInputs().find((input) => !input.value);

/** @returns {HTMLInputElement[]} */
const placeInputs = () => [...byId("places").querySelectorAll("input, select")];

/** @param {Iterable<File>} added */
function addFiles(added) {
  for (const file of added) {
    const picture = PICTURES.has(file.type) ? URL.createObjectURL(file) : null;
    chosen.set(file, picture);
    const remove = make("button", { type: "button", className: "plain", title: "Remove" }, "×");
    remove.setAttribute("aria-label", `Remove ${file.name}`);
    const sight = picture
      ? make("img", { src: picture, alt: "" })
      : make("span", { className: "paper" }, extension(file));
    const name = make("span", { className: "name" }, file.name);
    const item = make("li", {}, sight, name, make("span", { className: "quiet" }, size(file.size)), remove);
    remove.addEventListener("click", () => {
      chosen.delete(file);
      if (picture) URL.revokeObjectURL(picture);
      ((item.nextElementSibling ?? item.previousElementSibling)?.querySelector("button") ?? byId("files")).focus();
      item.remove();
      changed();
    });
    byId("chosen").append(item);
  }
  changed();
}

/** @param {File} file */
const extension = (file) => (/\.(\w{1,4})$/.exec(file.name)?.[1] ?? "file").toLowerCase();

/** @param {string} [name] @param {string} [value] */
function addRow(name = "", value = "") {
  const key = make("input", { value: name, placeholder: "name", spellcheck: false, autocapitalize: "none" });
  const content = make("input", { value, placeholder: "value" });
  const remove = make("button", { type: "button", className: "plain", title: "Remove" }, "×");
  key.setAttribute("aria-label", "Name of the field");
  content.setAttribute("aria-label", "Value of the field");
  remove.setAttribute("aria-label", "Remove the field");
  const row = make("li", {}, key, content, remove);
  remove.addEventListener("click", () => {
    row.remove();
    byId("add").focus();
    changed();
  });
  rows.append(row);
  return row;
}

/** Fields of one name are a list, as in every form. */
function fields() {
  /** @type {Map<string, string[]>} */
  const found = new Map();
  for (const row of rows.children) {
    const [name, value] = [...row.querySelectorAll("input")].map((input) => input.value);
    if (name) found.set(name, [...(found.get(name) ?? []), value]);
    else if (value) throw new SyntaxError(`Give the value “${value}” a name.`);
  }
  return Object.fromEntries([...found].map(([name, values]) => [name, values.length > 1 ? values : values[0]]));
}

/** Change between fields and JSON, with what stands there. */
function reshape() {
  const toJson = byId("json").hidden;
  try {
    const value = JSON.parse(text());
    if (toJson) {
      source.value = JSON.stringify(value, null, 2);
    } else {
      const pairs = Object.entries(value).flatMap(([name, its]) =>
        (Array.isArray(its) ? its : [its]).map((each) => [name, each]),
      );
      if (pairs.some(([, each]) => typeof each !== "string"))
        throw new SyntaxError("Fields hold only text; this has other values.");
      rows.replaceChildren();
      for (const [name, each] of pairs.length ? pairs : [["", ""]]) addRow(name, each);
    }
    byId("fields").hidden = toJson;
    byId("json").hidden = !toJson;
    tell(byId("mistake"), "");
  } catch (error) {
    const stays = document.querySelector(`[name=shape][value=${toJson ? "fields" : "json"}]`);
    /** @type {HTMLInputElement} */ (stays).checked = true;
    tell(byId("mistake"), /** @type {Error} */ (error).message);
  }
  changed();
}
