// Requests to the server. Corrections are saved one after the other.

export async function get(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(await errorMessage(response));
  return response;
}

export const getJson = async (path) => (await get(path)).json();
export const getBytes = async (path) => new Uint8Array(await (await get(path)).arrayBuffer());

/** Returns the response's JSON, or {conflict: JSON} if another page has changed the frame. */
export async function post(path, body) {
  const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, { ...options, keepalive: true }); // sent even if the tab is closed meanwhile
  if (response.status === 409) return { conflict: await response.json() };
  if (!response.ok) throw new Error(await errorMessage(response));
  return response.json();
}

async function errorMessage(response) {
  const text = await response.text();
  const unknown = `the server refused the request (HTTP status ${response.status})`;
  try {
    const { detail } = JSON.parse(text);
    return typeof detail === "string" ? detail : unknown;
  } catch {
    return text.trim() || unknown;
  }
}

/**
 * A queue of corrections to save, one entry a frame. If a frame changes again while it waits, only its last state is
 * saved, with the seconds and drags of all its changes.
 */
export class SaveQueue {
  #waiting = new Map();
  #running = false;

  /** send(entry) saves one entry; onError(entry, error) is called if it throws, and the queue goes on. */
  constructor(send, onError) {
    this.send = send;
    this.onError = onError;
  }

  /** key: a name of the frame; entry: {seconds, drags, ...}. */
  put(key, entry) {
    const earlier = this.#waiting.get(key);
    this.#waiting.set(key, {
      ...entry,
      seconds: entry.seconds + (earlier?.seconds ?? 0),
      drags: entry.drags + (earlier?.drags ?? 0),
    });
    this.#run();
  }

  async #run() {
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.#waiting.size) {
        const [key, entry] = this.#waiting.entries().next().value;
        this.#waiting.delete(key);
        try {
          await this.send(entry);
        } catch (error) {
          this.onError(entry, error);
        }
      }
    } finally {
      this.#running = false; // even if onError throws: the next entry must be saved
    }
  }
}
