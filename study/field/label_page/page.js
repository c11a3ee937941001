"use strict";

// Keys of the classes: the digits, then the letters but for U, which undoes.
const KEYS = [..."1234567890abcdefghijklmnopqrstvwxyz"];
const SMALL_PIXELS = 128; // Images of fewer show their pixels as squares.

const at = (id) => document.getElementById(id);
let state = null;
let place = 0;
let isBusy = false;

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? `the server answered ${response.status}`);
  return answer;
}

function say(text) {
  at("message").textContent = text;
}

function show() {
  const image = state.images[place];
  const picture = at("image");
  picture.src = `/images/${place}`;
  picture.alt = image.file;
  at("file").textContent = image.file;
  const share = image.confidence === null ? "" : ` ${(100 * image.confidence).toFixed(1)} %`;
  at("guess").textContent = image.guess === null ? "" : `taken for ${image.guess}${share}`;
  at("label").textContent = image.label === null ? "no label yet" : `label ${image.label}`;
  at("count").textContent = `${state.num_labelled} of ${state.images.length} labels`;
  at("progress").value = state.num_labelled / state.images.length;
  at("agree").disabled = image.guess === null;
  for (const button of at("classes").children) {
    button.setAttribute("aria-pressed", String(button.dataset.name === image.label));
  }
  document.body.dataset.place = String(place);
}

function move(steps) {
  place = Math.min(Math.max(place + steps, 0), state.images.length - 1);
  show();
}

function toNextWithout() {
  const rest = [...state.images.keys()].filter((index) => state.images[index].label === null);
  if (rest.length === 0) {
    say("All images have labels.");
    show();
    return;
  }
  place = rest.find((index) => index > place) ?? rest[0];
  show();
}

// One change at a time: the next key waits for none, it is dropped, so that no label meets the wrong image.
async function change(work) {
  if (isBusy) return;
  isBusy = true;
  try {
    await work();
  } catch (error) {
    say(`Nothing was changed: ${error.message}`);
  } finally {
    isBusy = false;
  }
}

function label(name) {
  return change(async () => {
    const image = state.images[place];
    const answer = await ask("/label", { file: image.file, label: name });
    image.label = answer.label;
    state.num_labelled = answer.num_labelled;
    say(name === null ? `${image.file}: no label` : `${image.file}: ${name}`);
    if (name === null) show();
    else toNextWithout();
  });
}

function undo() {
  return change(async () => {
    const answer = await ask("/undo", {});
    if (answer.file === null) {
      say("There is nothing to undo.");
      return;
    }
    place = state.images.findIndex((image) => image.file === answer.file);
    state.images[place].label = answer.label;
    state.num_labelled = answer.num_labelled;
    say(`${answer.file}: taken back`);
    show();
  });
}

function agree() {
  const guess = state.images[place].guess;
  return guess === null ? undefined : label(guess);
}

function onKey(event) {
  if (event.ctrlKey && event.key === "z") return void undo();
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  // Enter and Space on a button that has the focus press it.
  if (event.key === "Enter" && document.activeElement instanceof HTMLButtonElement) return;
  const index = KEYS.indexOf(event.key.toLowerCase());
  if (event.key === "ArrowRight") move(1);
  else if (event.key === "ArrowLeft") move(-1);
  else if (event.key === "Enter") agree();
  else if (event.key === "Delete") label(null);
  else if (event.key.toLowerCase() === "u" || event.key === "Backspace") undo();
  else if (index >= 0 && index < state.classes.length) label(state.classes[index]);
  else return;
  event.preventDefault();
}

function classButton(name, index) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.name = name;
  if (index < KEYS.length) {
    const key = document.createElement("kbd");
    key.textContent = KEYS[index].toUpperCase();
    button.append(key, " ");
  }
  button.append(name);
  // A mouse leaves the focus where it is, so that Enter goes on agreeing.
  button.addEventListener("pointerdown", (event) => event.preventDefault());
  button.addEventListener("click", () => label(name));
  return button;
}

async function begin() {
  state = await ask("/state");
  at("folder").textContent = state.folder;
  at("output").textContent = state.output;
  document.title = `Labels of ${state.folder}`;
  at("classes").append(...state.classes.map(classButton));
  at("image").addEventListener("load", () => {
    at("image").classList.toggle("small", at("image").naturalWidth < SMALL_PIXELS);
  });
  at("image").addEventListener("error", () => say("This file cannot be shown; it is no image, or gone."));
  at("previous").addEventListener("click", () => move(-1));
  at("next").addEventListener("click", () => move(1));
  at("agree").addEventListener("click", agree);
  at("clear").addEventListener("click", () => label(null));
  at("undo").addEventListener("click", undo);
  document.addEventListener("keydown", onKey);
  if (state.images[0].label === null) show();
  else toNextWithout();
  document.body.dataset.ready = "yes";
}

begin().catch((error) => say(`The page cannot begin: ${error.message}`));
