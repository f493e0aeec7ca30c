// The server, as the page asks it.

export class Failure extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export async function library() {
  return answer(await reached(fetch("v1/library")));
}

// query: {text, instruction, files, like, only, where}; cursor: of the page before, or null
export async function search(query, cursor, signal) {
  const fields = { k: 48 };
  if (cursor) fields.cursor = cursor;
  else {
    for (const key of ["like", "text", "instruction", "only", "where"]) {
      if (query[key]) fields[key] = query[key];
    }
    if (query.like) delete fields.instruction; // it is for what is embedded
  }
  const files = cursor ? [] : query.files;
  return answer(await reached(fetch("v1/search", { method: "POST", signal, ...body(fields, files) })));
}

function body(fields, files) {
  if (!files.length) {
    return { headers: { "content-type": "application/json" }, body: JSON.stringify(fields) };
  }
  const form = new FormData();
  for (const [key, value] of Object.entries(fields)) form.append(key, value);
  for (const { kind, file } of files) form.append(kind, file, "file");
  return { body: form };
}

async function reached(asked) {
  try {
    return await asked;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("The server cannot be reached. Is unite serve running?", 0);
  }
}

async function answer(response) {
  let told = null;
  try {
    told = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (response.ok) throw new Failure("The answer broke off. Is unite serve running?", 0);
  }
  if (response.ok) return told;
  const message = told?.error?.message ?? `The server answered ${response.status}.`;
  throw new Failure(message, response.status);
}

// Pictures and clips cannot send headers, so the token travels as a cookie.
export function present(token) {
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `unite_token=${encodeURIComponent(token)}; path=/; samesite=strict${secure}`;
}
