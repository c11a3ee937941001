// The card of the version that answers: what it can do, where its limits are, whether requests are recorded.

import { element, made, percent, percentage, readOut, showFailure } from "./elements.js";
import { answers, ask } from "./server.js";

export let card = null; // as `GET /card` has it

let isLoading = false;

export async function loadCard() {
  if (isLoading) return;
  isLoading = true;
  const before = card;
  try {
    card = await ask("card");
  } catch (failure) {
    showFailure("failure", failure.message);
    if (failure.isPassing) setTimeout(loadCard, failure.retrySeconds * 1000);
    return;
  } finally {
    isLoading = false;
  }
  showFailure("failure", null);
  showCard();
  if (before && before.version !== card.version) readOut(`${named(card)} answers now.`);
}

const named = (one) => `${one.model} version ${one.version}`;

function showCard() {
  document.title = named(card);
  element("model").textContent = card.model;
  element("version").textContent = `Version ${card.version}${card.alias ? `, the ${card.alias},` : ""} answers.`;
  element("recording").hidden = !card.is_recording;
  element("face-pictures").hidden = element("face-camera").hidden = !card.finds_faces;
  element("use").textContent = card.use ?? "";
  element("classes").tBodies[0].replaceChildren(...card.classes.map(classRow));
  element("limits").replaceChildren(...sentences(card.limits).map((text) => made("li", "", text)));
  element("data").textContent = card.dataset.text ?? card.dataset.name;
  element("facts").replaceChildren(...facts().flatMap(([name, value]) => [made("dt", "", name), made("dd", "", value)]));
  element("card").hidden = false;
}

const sentences = (text) => (text ?? "").split("\n").map((line) => line.replace(/^- /, "")).filter(Boolean);

function facts() {
  const { height, width, channels } = card.input;
  return [
    ["study", card.study],
    ["registered", card.registered],
    ["dataset", `${card.dataset.name} (${card.dataset.digest.slice(0, 12)})`],
    ["training images", card.dataset.num_train_images?.toLocaleString("en")],
    ["input", `${width}x${height} ${channels === 1 ? "gray" : "RGB"}`],
  ].filter(([, value]) => value);
}

function classRow(one) {
  const row = made("tr");
  const recall = made("td");
  if (one.recall === null) {
    recall.textContent = "not measured";
  } else {
    const track = made("div", "track");
    const bar = made("span", "bar");
    const interval = made("span", "interval");
    track.ariaHidden = "true";
    bar.style.width = percentage(one.recall);
    interval.style.left = percentage(one.low);
    interval.style.width = percentage(one.high - one.low);
    track.append(bar, interval);
    recall.append(`${percent(one.recall)} (${percent(one.low)} to ${percent(one.high)})`, track);
  }
  const name = made("th", "", one.name);
  name.scope = "row";
  row.append(name, recall, made("td", "", one.num_images?.toLocaleString("en") ?? ""));
  return row;
}

answers.addEventListener("token", loadCard);
answers.addEventListener("version", ({ detail }) => {
  if (card && detail !== card.version) loadCard();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) loadCard(); // another version may answer by now
});
