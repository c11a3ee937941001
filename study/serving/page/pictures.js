// Pictures that a person chooses, drops or pastes, each with its label and its probabilities.

import { Bars, byProbability } from "./bars.js";
import { card } from "./card.js";
import { element, made, percent, placed, readOut, showFailure } from "./elements.js";
import { predict } from "./server.js";

const MOST_AT_ONCE = 4; // requests
const MOST_ROWS = 7; // bars that are shown at once
const SMALL = 64; // pixels; a smaller picture is shown enlarged

async function addPictures(files) {
  const waiting = [...files].map((file) => ({ file, result: shown(file) }));
  if (!waiting.length) return;
  showFailure("pictures-failure", null);
  element("results").prepend(...waiting.map(({ result }) => result));
  element("clear").hidden = false;
  const workers = Array.from({ length: MOST_AT_ONCE }, async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await classify(next.file, next.result);
  });
  await Promise.all(workers);
}

function shown(file) {
  const result = made("li", "result");
  const thumbnail = made("div", "thumbnail");
  const image = made("img");
  image.alt = "";
  image.addEventListener("load", () => image.classList.toggle("small", image.naturalWidth < SMALL));
  image.addEventListener("error", () => thumbnail.replaceChildren("no preview"));
  image.src = URL.createObjectURL(file);
  thumbnail.append(image);
  result.append(thumbnail, made("p", "name", file.name || "pasted picture"), made("p", "verdict", "…"));
  return result;
}

async function classify(file, result) {
  const name = file.name || "pasted picture";
  const verdict = result.querySelector(".verdict");
  const findsFace = Boolean(card?.finds_faces) && element("find-in-pictures").checked;
  try {
    const answer = await predict(file, findsFace);
    verdict.textContent = `${answer.label} ${percent(answer.probabilities[answer.label])}`;
    showBars(result, answer);
    showBox(result, answer.box);
    if (findsFace && !answer.box) result.append(made("p", "name", "No face found: the middle of the picture was used."));
    readOut(`${name}: ${verdict.textContent}`);
  } catch (failure) {
    verdict.className = "failure";
    verdict.textContent = failure.message;
    readOut(`${name}: ${failure.message}`);
  }
}

function showBars(result, { probabilities, label }) {
  const entries = byProbability(probabilities);
  const most = made("ul", "bars");
  new Bars(most).show(entries.slice(0, MOST_ROWS), label);
  result.append(most);
  if (entries.length <= MOST_ROWS) return;
  const others = made("details");
  const list = made("ul", "bars");
  new Bars(list).show(entries.slice(MOST_ROWS), label);
  others.append(made("summary", "", `the other ${entries.length - MOST_ROWS} classes`), list);
  result.append(others);
}

async function showBox(result, box) {
  const image = result.querySelector("img");
  if (!box || !image) return;
  await image.decode().catch(() => {});
  const frame = made("div", "box");
  placed(frame, box, image.naturalWidth, image.naturalHeight);
  image.after(frame);
}

function taken(transfer, otherwise) {
  const entries = [...(transfer?.items ?? [])].map((item) => item.webkitGetAsEntry?.());
  if (entries.some((entry) => entry?.isDirectory)) {
    showFailure("pictures-failure", "A folder cannot be dropped. Open it, and drop the pictures in it.");
    return [];
  }
  if (!transfer?.files.length) showFailure("pictures-failure", otherwise);
  return transfer?.files ?? [];
}

element("files").addEventListener("change", async (event) => {
  const files = [...event.target.files];
  event.target.value = ""; // so that the same file can be chosen again
  await addPictures(files);
});

element("clear").addEventListener("click", () => {
  for (const image of element("results").querySelectorAll("img")) URL.revokeObjectURL(image.src);
  element("results").replaceChildren();
  element("clear").hidden = true;
  element("files").focus();
});

document.addEventListener("paste", (event) => {
  if (event.target instanceof HTMLInputElement) return;
  event.preventDefault();
  addPictures(taken(event.clipboardData, "The clipboard holds no picture. Copy one, then paste it."));
});

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  element("drop").classList.add("over");
});

document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) element("drop").classList.remove("over");
});

document.addEventListener("drop", (event) => {
  event.preventDefault();
  element("drop").classList.remove("over");
  addPictures(taken(event.dataTransfer, "That is no file. Save the picture on this device, then choose it."));
});
