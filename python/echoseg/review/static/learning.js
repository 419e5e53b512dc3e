// Learning from the corrections: the button, the progress, and what came of it.

import { getJson, post } from "./api.js";
import { element } from "./messages.js";

const INTERVAL = 1000; // ms
const RUNNING = new Set(["training", "comparing"]);

export class Learning {
  #timer = null;

  /** Show the state of the learning, which another tab may have started. */
  async show() {
    this.#draw(await getJson("api/learning"));
  }

  start() {
    return this.#change(true);
  }

  stop() {
    return this.#change(false);
  }

  async #change(learn) {
    try {
      this.#draw(await post("api/learning", { learn }));
    } catch (error) {
      await this.show().catch(() => {}); // another tab may have started it
      element("learn-result").textContent = `Not ${learn ? "started" : "stopped"}: ${error.message}.`;
    }
  }

  #draw(learning) {
    clearTimeout(this.#timer);
    const isRunning = RUNNING.has(learning.stage);
    element("learn").disabled = isRunning;
    element("stop-learning").hidden = !isRunning;
    element("learn-progress-box").hidden = !isRunning;
    if (isRunning) {
      element("learn-progress").value = learning.progress;
      element("learn-text").textContent = runningText(learning);
      this.#timer = setTimeout(() => this.show().catch(() => this.#draw({ stage: "failed", message: "the server ended" })), INTERVAL);
    }
    element("learn-result").textContent = isRunning ? "" : resultText(learning);
    element("learn-run").textContent = learning.run || "";
    element("learn-run").hidden = isRunning || !learning.run;
  }
}

function runningText({ stage, progress, seconds_left: seconds }) {
  if (stage === "comparing") return "Comparing with the network before …";
  const left = seconds === null ? "" : `, ${seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`} left`;
  return `Learning: ${Math.floor(100 * progress)} %${left}`;
}

function resultText({ stage, message, verdict, left_out: leftOut }) {
  if (stage === "failed") return `Failed: ${message}`;
  if (stage === "stopped") return "Stopped.";
  if (stage !== "done") return "";
  const end = `${leftOut ? `Left out: ${leftOut}. ` : ""}The new network is in`;
  if (verdict) return `${verdictText(verdict)} ${end}`;
  const reason = message || "correct frames of a second patient to see what a network gains on patients that it has not seen";
  return `Learned, but not compared: ${reason}. ${end}`;
}

function verdictText({ images, patients, before, after, difference, low, high }) {
  const interval = low === null ? "" : ` (95 % ${signed(low)} to ${signed(high)})`;
  return (
    `On ${images} frames of ${patients} patients, each left out of the training that it tests: ` +
    `Dice ${before.toFixed(3)} before, ${after.toFixed(3)} after, ${signed(difference)}${interval}.`
  );
}

const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
