// @ts-check
/** The same call as code to copy. */

import { members } from "./izzati.js";

/**
 * @typedef {object} Call
 * @property {string} url
 * @property {string} text an object in JSON
 * @property {File[]} files
 * @property {string} way how the caller says who it is: `bearer`, `basic`, or nothing
 * @property {string} saves the name of the file that came back, if one did
 */

/** @type {Record<string, (call: Call) => string>} */
export const samples = { curl, python, javascript };

/** @param {Call} call */
function curl({ url, text, files, way, saves }) {
  // A file that is saved is one that came back: -f leaves no refusal there. Elsewhere the refusal is seen.
  const options = [saves ? `-f -o ${shell(another(saves, files))}` : "--fail-with-body"];
  if (way === "bearer") options.push('-H "Authorization: Bearer $TOKEN"');
  if (way === "basic") options.push('-u "$NAME:$PASSWORD"');
  if (files.length) {
    for (const [name, json] of members(text)) {
      if (!name || name.includes("="))
        return `# curl cannot send files with a field whose name is ${JSON.stringify(name)}. Python and JavaScript can.`;
      const isString = json.startsWith('"');
      const value = isString ? JSON.parse(json) : json;
      // -F reads @, <, quotes and ; as more than text, and trims what is around it; --form-string does not.
      const option = /^[@<"\s]|;|\s$/.test(value) ? "--form-string" : "-F";
      if (isString) options.push(`${option} ${shell(`${name}=${value}`)}`);
      else options.push(`-F ${shell(`${name}=${curled(value)};type=application/json`)}`);
    }
    for (const file of files) options.push(`-F ${shell(`file=@${curled(file.name)}`)}`);
  } else {
    options.push(`--json ${shell(text)}`);
  }
  return `curl ${[...options, shell(url)].join(" \\\n  ")}`;
}

/** @param {Call} call */
function python({ url, text, files, way, saves }) {
  const who = { bearer: ", token=token", basic: ", auth=(name, password)" }[way] ?? "";
  const given = [];
  if (members(text).length) given.push(`text=${literal(spaced(text))}`);
  if (files.length) given.push(`files=[${files.map((file) => JSON.stringify(file.name)).join(", ")}]`);
  return [
    "from izzati import Frontend",
    "",
    `answer = ${called(`Frontend(${JSON.stringify(url)}${who}).send(`, given, ")")}`,
    saves ? `answer.save(${JSON.stringify(another(saves, files))})` : "print(answer)",
  ].join("\n");
}

/** @param {Call} call */
function javascript({ url, text, files, way }) {
  const lines = [`import { send } from ${JSON.stringify(String(new URL("izzati.js", document.baseURI)))};`, ""];
  const given = [];
  if (members(text).length) given.push(`text: ${isExact(text) ? spaced(text) : JSON.stringify(text)}`);
  if (files.length) {
    lines.push('const files = document.querySelector("input[type=file]").files;');
    given.push("files");
  }
  if (way === "bearer") lines.push("const Authorization = `Bearer ${token}`;");
  if (way === "basic") {
    lines.push("const pair = new TextEncoder().encode(`${name}:${password}`);");
    lines.push("const Authorization = `Basic ${btoa(String.fromCharCode(...pair))}`;");
  }
  if (way) given.push("headers: { Authorization }");
  const start = `const answer = await send(${JSON.stringify(url)}`;
  lines.push(given.length ? called(`${start}, { `, given, " });") : `${start});`, "console.log(answer);");
  return lines.join("\n");
}

/** A call on one line, or on several where it is long. @param {string} start @param {string[]} given @param {string} end */
function called(start, given, end) {
  const line = start + given.join(", ") + end;
  if (line.length <= 80 || !given.length) return line;
  return `${start.trimEnd()}\n${given.map((each) => `    ${each},\n`).join("")}${end.trimStart()}`;
}

/**
 * Where a file that comes back is saved: never over one that is sent.
 * @param {string} name @param {File[]} files
 * @returns {string}
 */
function another(name, files) {
  const last = name.split(/[\\/]/).pop() || "answer";
  return files.some((file) => file.name.toLowerCase() === last.toLowerCase()) ? another(`answer-${last}`, files) : last;
}

/** One word of a POSIX shell. @param {string} text */
const shell = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** A value that curl's -F takes as it is. @param {string} text */
const curled = (text) => (/[;,"\s]/.test(text) ? `"${text.replace(/[\\"]/g, "\\$&")}"` : text);

const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"/.source;
const COMPACT = new RegExp(`(${STRING})|\\s+`, "g");
const DENSE = new RegExp(`${STRING}|[,:](?=\\S)`, "g");
const WORDS = new RegExp(`${STRING}|true|false|null`, "g");

/** JSON with a space after each comma and colon. @param {string} json */
const spaced = (json) => json.replace(DENSE, (token) => (token.length > 1 ? token : `${token} `));

/** Whether JavaScript reads all of it as it is written, large numbers too. @param {string} json */
const isExact = (json) => json.replace(COMPACT, "$1") === JSON.stringify(JSON.parse(json));

/** JSON as Python: its numbers are written the same there, its strings once they need few escapes. @param {string} json */
const literal = (json) => json.replace(WORDS, (token) => PYTHON[token] ?? JSON.stringify(JSON.parse(token)));

/** @type {Record<string, string>} */
const PYTHON = { true: "True", false: "False", null: "None" };
