/**
 * React Native's way to send a form, where there is no React Native: its FormData hands a list of parts to native code,
 * which reads what has a uri, writes what has a string, and puts the part's headers before it. The headers are made as
 * in react-native/Libraries/Network/FormData.js.
 */

const DEVICE = { "file:///rex.jpg": "of a dog", "ph://7/cat": "of a cat" };

class NativeForm {
  parts = [];

  append(name, value) {
    this.parts.push([name, value]);
  }

  getParts() {
    return this.parts.map(([name, value]) => {
      const headers = { "content-disposition": `form-data; name="${name}"` };
      if (typeof value !== "object") return { string: String(value), headers };
      if (typeof value.name === "string") {
        headers["content-disposition"] += `; filename="${encodeURIComponent(value.name.replace(/\//g, "_"))}"`;
      }
      if (typeof value.type === "string") headers["content-type"] = value.type;
      return { ...value, headers };
    });
  }
}

const fetched = globalThis.fetch;
globalThis.FormData = NativeForm;
globalThis.fetch = (url, { body, headers, ...options }) => {
  if (!(body instanceof NativeForm)) throw new Error("not by its own form");
  if ("Content-Type" in headers) throw new Error("native code could not choose the boundary");
  const written = body.getParts().map(({ headers, string, uri }) => {
    const lines = Object.entries(headers).map((pair) => pair.join(": "));
    return `--B\r\n${lines.join("\r\n")}\r\n\r\n${string ?? DEVICE[uri]}\r\n`;
  });
  const all = { ...headers, "Content-Type": "multipart/form-data; boundary=B" };
  return fetched(url, { ...options, headers: all, body: `${written.join("")}--B--\r\n` });
};
