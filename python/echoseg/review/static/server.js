// Talking to the server: reading, and saving one change after the other.

export async function get(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(await reasonOf(answer));
  return answer;
}

export const getJson = async (path) => (await get(path)).json();
export const getBytes = async (path) => new Uint8Array(await (await get(path)).arrayBuffer());

export async function post(path, body) {
  const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, { ...options, keepalive: true }); // a closing tab still sends it
  if (answer.status === 409) return { conflict: await answer.json() };
  if (!answer.ok) throw new Error(await reasonOf(answer));
  return answer.json();
}

async function reasonOf(answer) {
  const text = await answer.text();
  try {
    const { detail } = JSON.parse(text);
    return typeof detail === "string" ? detail : `refused (${answer.status})`;
  } catch {
    return text.trim() || `refused (${answer.status})`;
  }
}

/** Saves frames in turn; of one that changes again before its turn, the last state alone. */
export class Saver {
  #waiting = new Map();
  #busy = false;

  /** send(key, entry) saves one; it is told what the person did since that key was last sent. */
  constructor(send) {
    this.send = send;
  }

  get waiting() {
    return this.#waiting.size;
  }

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
    if (this.#busy) return;
    this.#busy = true;
    while (this.#waiting.size) {
      const [key, entry] = this.#waiting.entries().next().value;
      this.#waiting.delete(key);
      await this.send(key, entry);
    }
    this.#busy = false;
  }
}
