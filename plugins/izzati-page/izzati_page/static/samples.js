// @ts-check
/** The same call as code to copy. */

/**
 * @typedef {object} Call
 * @property {string} url
 * @property {Record<string, unknown>} text
 * @property {File[]} files
 * @property {string} way how the caller says who it is: `bearer`, `basic`, or nothing
 * @property {string} saves the name of the file that came back, if one did
 */

/** @type {Record<string, (call: Call) => string>} */
export const samples = { curl, python, javascript };

/** @param {Call} call */
function curl({ url, text, files, way, saves }) {
  const options = [];
  if (way === "bearer") options.push('-H "Authorization: Bearer $TOKEN"');
  if (way === "basic") options.push('-u "$NAME:$PASSWORD"');
  if (files.length) {
    for (const [name, value] of Object.entries(text)) {
      // -F reads @, <, quotes and ; as more than text, and trims what is around it; --form-string does not.
      const option = /^[@<"\s]|;|\s$/.test(String(value)) ? "--form-string" : "-F";
      if (typeof value === "string") options.push(`${option} ${shell(`${name}=${value}`)}`);
      else options.push(`-F ${shell(`${name}=${curled(JSON.stringify(value))};type=application/json`)}`);
    }
    for (const file of files) options.push(`-F ${shell(`file=@${curled(file.name)}`)}`);
  } else {
    options.push(`--json ${shell(JSON.stringify(text))}`);
  }
  if (saves) options.push(`-o ${shell(saves)}`);
  return ["curl", ...options, shell(url)].join(" \\\n  ").replace(/^curl \\\n {2}/, "curl ");
}

/** @param {Call} call */
function python({ url, text, files, way, saves }) {
  const who = { bearer: ", token=token", basic: ", auth=(name, password)" }[way] ?? "";
  const given = [];
  if (Object.keys(text).length) given.push(`text=${literal(text)}`);
  if (files.length) given.push(`files=[${files.map((file) => literal(file.name)).join(", ")}]`);
  const lines = ["from izzati import Frontend", ""];
  lines.push(`answer = Frontend(${literal(url)}${who}).send(${given.join(", ")})`);
  lines.push(saves ? `answer.save(${literal(saves)})` : "print(answer)");
  return lines.join("\n");
}

/** @param {Call} call */
function javascript({ url, text, files, way }) {
  const lines = [`import { send } from ${JSON.stringify(String(new URL("izzati.js", document.baseURI)))};`, ""];
  const given = [];
  if (Object.keys(text).length) given.push(`text: ${JSON.stringify(text)}`);
  if (files.length) {
    lines.push('const files = document.querySelector("input[type=file]").files;');
    given.push("files");
  }
  if (way)
    lines.push(
      `const Authorization = ${way === "bearer" ? "`Bearer ${token}`" : "`Basic ${btoa(`${name}:${password}`)}`"};`,
    );
  if (way) given.push("headers: { Authorization }");
  const options = given.length ? `, { ${given.join(", ")} }` : "";
  lines.push(`const answer = await send(${JSON.stringify(url)}${options});`);
  return lines.join("\n");
}

/** One word of a POSIX shell. @param {string} text */
const shell = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** A value that curl's -F takes as it is. @param {string} text */
const curled = (text) => (/[;,"\s]/.test(text) ? `"${text.replace(/[\\"]/g, "\\$&")}"` : text);

/** A value in Python, whose strings may be written as JSON's are. @param {any} value @returns {string} */
function literal(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, each]) => `${JSON.stringify(key)}: ${literal(each)}`)
    .join(", ")}}`;
}
