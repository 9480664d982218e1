// Calls a function with text and a photo, by fetch, as browsers, Node 20 and Deno have it:
// node call.mjs http://localhost:5020/ rex.jpg answer

/**
 * What the function returned: a value, or a Blob for a file.
 *
 * Values keep their types and may nest. Beside files a form carries them, and there text alone: what is no text
 * arrives as JSON in text. (/izzati.js, by the plugin izzati-page, has no such limit.)
 */
export async function call(url, text = {}, files = {}, headers = {}) {
  let body;
  if (Object.keys(files).length === 0) {
    body = JSON.stringify(text);
    headers = { "Content-Type": "application/json", ...headers };
  } else {
    body = new FormData(); // which sets its own Content-Type
    for (const [key, value] of Object.entries(text)) {
      body.append(key, typeof value === "string" ? value : JSON.stringify(value));
    }
    for (const [key, file] of Object.entries(files)) body.append(key, file, file.name);
  }
  const answer = await fetch(url, { method: "POST", body, headers });
  const type = answer.headers.get("Content-Type") ?? "";
  if (!answer.ok) {
    const problem = type.startsWith("application/problem+json") ? await answer.json() : {};
    throw new Error(problem.detail ?? `The answer was ${answer.status}.`, { cause: problem });
  }
  return type === "application/json" ? answer.json() : answer.blob();
}

// What follows is for Node; a page has a File of its visitor's: document.querySelector("input").files[0]
const [url, photo, kept] = globalThis.process?.argv.slice(2) ?? [];
if (kept) {
  const { readFile, writeFile } = await import("node:fs/promises");
  const { basename } = await import("node:path");
  try {
    const file = new File([await readFile(photo)], basename(photo), { type: "image/jpeg" });
    const answer = await call(url, { name: "Rex", owner: { age: 40 } }, { photo: file });
    await writeFile(kept, answer instanceof Blob ? Buffer.from(await answer.arrayBuffer()) : JSON.stringify(answer));
  } catch (error) {
    console.error(error.message, error.cause);
    process.exitCode = 1;
  }
}
