// The camera: one frame after the other goes to the server, and what the server says of it stands over the video.

import { Bars, byProbability, inOrder } from "./bars.js";
import { card } from "./card.js";
import { element, percent, placed, readOut, showFailure } from "./elements.js";
import { predict } from "./server.js";

const MOST_LIVE_ROWS = 10; // classes up to which the bars keep their places
const MOST_ROWS = 7; // of more classes
const LONGEST_SIDE = 480; // pixels of a frame in which the server looks for a face
const LEAST_SIDE = 96; // pixels of a frame for a model of tiny images
const RATE_SECONDS = 2; // over which frames per second are counted
const NUM_LATENCIES = 15; // of which the median is shown
const CALM_SECONDS = 1.5; // a label lasts so long before it is read out

const bars = new Bars(element("bars"));
let camera = null;
let isStarting = false;
let attempt = 0; // grows with each start and stop: a camera that comes later is not wanted any more

class Camera {
  constructor(stream) {
    this.stream = stream;
    this.video = element("video");
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.leaving = new AbortController();
    this.answered = []; // moments of answers, for the rate
    this.latencies = [];
    this.calm = { label: null, since: 0, read: null };
    this.isFresh = false;
    this.wake = () => {};
    for (const track of stream.getTracks()) {
      track.addEventListener("ended", () => stopCamera("The camera was taken away from this page."));
    }
  }

  get isOn() {
    return !this.leaving.signal.aborted;
  }

  stop() {
    this.leaving.abort();
    this.wake();
    for (const track of this.stream.getTracks()) track.stop();
    this.video.srcObject = null;
  }

  async watch() {
    this.video.srcObject = this.stream;
    await this.video.play();
    this.#follow();
    while (this.isOn) {
      await this.#newFrame();
      if (!this.isOn) return;
      const started = performance.now();
      const frame = this.#drawn();
      const picture = await new Promise((resolve) => this.canvas.toBlob(resolve, "image/jpeg", 0.92));
      if (!picture || !this.isOn) continue;
      await this.#asked(picture, frame, started);
    }
  }

  // Notes each frame that the camera has.
  #follow() {
    const next = (note) => this.video.requestVideoFrameCallback?.(note) ?? requestAnimationFrame(note);
    const note = () => {
      this.isFresh = true;
      this.wake();
      if (this.isOn) next(note);
    };
    next(note);
  }

  // The frame that came while the last answer was awaited, or else the next one.
  async #newFrame() {
    if (!this.isFresh) await new Promise((resolve) => (this.wake = resolve));
    this.isFresh = false;
  }

  async #asked(picture, frame, started) {
    try {
      const answer = await predict(picture, frame.findsFace, this.leaving.signal);
      if (!this.isOn) return;
      showFailure("camera-failure", null);
      this.#show(answer, frame, performance.now() - started);
    } catch (failure) {
      if (!this.isOn) return;
      if (!failure.isPassing) {
        stopCamera(failure.message);
        return;
      }
      showFailure("camera-failure", failure.message);
      await new Promise((resolve) => setTimeout(resolve, failure.retrySeconds * 1000));
    }
  }

  // Draws what is sent: the whole frame where the server looks for a face, else its middle in the shape of the model's
  // input, at twice the model's size. The server makes it smaller better than a canvas does.
  #drawn() {
    const { videoWidth, videoHeight } = this.video;
    const findsFace = Boolean(card?.finds_faces) && element("find-in-camera").checked;
    const input = card?.input ?? { width: 224, height: 224 };
    const fit = findsFace ? 1 : Math.min(videoWidth / input.width, videoHeight / input.height);
    const width = findsFace ? videoWidth : input.width * fit;
    const height = findsFace ? videoHeight : input.height * fit;
    const most = findsFace ? LONGEST_SIDE : Math.max(2 * Math.max(input.width, input.height), LEAST_SIDE);
    const scale = Math.min(1, most / Math.max(width, height));
    const part = { left: (videoWidth - width) / 2, top: (videoHeight - height) / 2, width, height };
    const size = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
    if (this.canvas.width !== size[0] || this.canvas.height !== size[1]) [this.canvas.width, this.canvas.height] = size;
    this.context.imageSmoothingQuality = "high";
    this.context.drawImage(this.video, part.left, part.top, width, height, 0, 0, ...size);
    return { ...part, scale: width / size[0], findsFace, videoWidth, videoHeight };
  }

  #show({ label, probabilities, milliseconds, box }, frame, latency) {
    const isShort = Object.keys(probabilities).length <= MOST_LIVE_ROWS;
    element("label").textContent = `${label} ${percent(probabilities[label])}`;
    bars.show(isShort ? inOrder(probabilities) : byProbability(probabilities).slice(0, MOST_ROWS), label);
    this.#mark(box, frame);
    this.#measure(latency, milliseconds);
    this.#calmly(label, probabilities[label]);
  }

  // Marks the face, or the middle that the model sees.
  #mark(box, frame) {
    const found = box && [frame.left + box[0] * frame.scale, frame.top + box[1] * frame.scale,
      box[2] * frame.scale, box[3] * frame.scale];
    const seen = element("seen");
    seen.hidden = false;
    seen.classList.toggle("centre", !found);
    placed(seen, found ?? this.#middle(frame), frame.videoWidth, frame.videoHeight);
  }

  #middle({ videoWidth, videoHeight }) {
    const { width, height } = card?.input ?? { width: 1, height: 1 };
    const fit = Math.min(videoWidth / width, videoHeight / height);
    return [(videoWidth - width * fit) / 2, (videoHeight - height * fit) / 2, width * fit, height * fit];
  }

  #measure(latency, milliseconds) {
    const now = performance.now();
    this.answered = [...this.answered.filter((moment) => now - moment < RATE_SECONDS * 1000), now];
    this.latencies = [...this.latencies.slice(1 - NUM_LATENCIES), latency];
    const span = now - this.answered[0];
    const rate = span ? ((this.answered.length - 1) / span) * 1000 : 0;
    const middle = this.latencies.toSorted((one, other) => one - other)[Math.floor(this.latencies.length / 2)];
    const speed = element("speed");
    speed.dataset.rate = rate.toFixed(1);
    speed.textContent = `${rate.toFixed(1)} frames per second, ${middle.toFixed(0)} ms from frame to label, `
      + `${milliseconds.toFixed(0)} ms of them in the server`;
  }

  // Reads a label out once it has lasted: ten a second would be noise.
  #calmly(label, share) {
    const now = performance.now();
    if (label !== this.calm.label) this.calm = { ...this.calm, label, since: now };
    if (label === this.calm.read || now - this.calm.since < CALM_SECONDS * 1000) return;
    this.calm.read = label;
    readOut(`Camera: ${label}, ${percent(share)}`);
  }
}

async function startCamera(wanted) {
  stopCamera();
  const mine = attempt;
  showFailure("camera-failure", null);
  isStarting = true; // the button stays as it is: disabled, it would lose the focus
  try {
    const stream = await granted(wanted);
    if (mine !== attempt || document.hidden) {
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    camera = new Camera(stream);
    await showCameras(stream.getVideoTracks()[0].getSettings());
    if (mine !== attempt) return;
    element("stage").hidden = false;
    element("start").textContent = "Stop the camera";
    isStarting = false;
    await camera.watch();
  } catch (error) {
    if (mine === attempt) stopCamera(refusal(error));
  } finally {
    if (mine === attempt) isStarting = false;
  }
}

function granted(wanted) {
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "SecurityError");
  const which = wanted ? { deviceId: { exact: wanted } } : { facingMode: "user" };
  const video = { ...which, width: { ideal: 640 }, height: { ideal: 480 } };
  return navigator.mediaDevices.getUserMedia({ video, audio: false });
}

function stopCamera(sentence = null) {
  attempt += 1;
  isStarting = false;
  camera?.stop();
  camera = null;
  element("stage").hidden = element("seen").hidden = true;
  element("label").textContent = "";
  element("start").textContent = "Start the camera";
  if (sentence) showFailure("camera-failure", sentence);
}

function refusal(error) {
  return {
    NotAllowedError: "The browser refuses the camera. Allow it in the address bar, then start the camera again.",
    NotFoundError: "This device has no camera.",
    NotReadableError: "Another program uses the camera. Close it, then start the camera again.",
    SecurityError: "A browser gives the camera to pages at https:// or http://127.0.0.1 only. Open this page there.",
    OverconstrainedError: "That camera is gone. Start the camera again.",
  }[error.name] ?? `The camera does not start: ${error.message}`;
}

// Their names are known only once a person has allowed the camera.
async function showCameras({ deviceId, facingMode }) {
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
  const options = cameras.map((one, index) => new Option(one.label || `camera ${index + 1}`, one.deviceId));
  element("cameras").replaceChildren(...options);
  element("cameras").value = deviceId;
  element("choice").hidden = cameras.length < 2;
  if (facingMode === "environment") element("mirror").checked = false; // it looks away from the person
  mirror();
}

function mirror() {
  element("view").classList.toggle("mirrored", element("mirror").checked);
}

element("start").addEventListener("click", () => {
  if (camera) stopCamera();
  else if (!isStarting) startCamera();
});
element("cameras").addEventListener("change", (event) => startCamera(event.target.value));
element("mirror").addEventListener("change", mirror);
document.addEventListener("visibilitychange", () => {
  if (document.hidden && camera) stopCamera("The camera is off, because the page was hidden. Start it again to go on.");
});
window.addEventListener("pagehide", () => stopCamera());
