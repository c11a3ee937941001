// What the page asks of the server that it came from, and what the server answers.

import { element } from "./elements.js";

const RETRY_SECONDS = 1;
const TOKEN = "token"; // in the tab's storage

export const answers = new EventTarget(); // `version` at each prediction, `token` once a person has given one

export class Failure extends Error {
  constructor(sentence, status, retrySeconds) {
    super(sentence);
    this.status = status;
    this.retrySeconds = retrySeconds;
  }

  get isPassing() {
    return [0, 429, 503, 504].includes(this.status);
  }
}

export async function ask(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  let response;
  try {
    response = await fetch(path, { ...options, headers, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("The server does not answer. Does study serve still run?", 0, RETRY_SECONDS);
  }
  if (response.ok) return response.json();
  if (response.status === 401) showToken(Boolean(token));
  throw await failureOf(response);
}

export async function predict(picture, findsFace, signal) {
  const { version, milliseconds, predictions } = await ask(findsFace ? "predict?find=face" : "predict", {
    method: "POST",
    headers: { "Content-Type": picture.type || "application/octet-stream" },
    body: picture,
    signal,
  });
  answers.dispatchEvent(new CustomEvent("version", { detail: version }));
  return { ...predictions[0], milliseconds };
}

async function failureOf(response) {
  const wait = Number(response.headers.get("Retry-After")) || RETRY_SECONDS;
  let sentence = `The server answered with the error ${response.status}.`;
  try {
    const said = (await response.json()).error;
    if (typeof said === "string" && said) sentence = said[0].toUpperCase() + said.slice(1);
  } catch {
    // No JSON: a proxy in between speaks. The number says what there is to say.
  }
  return new Failure(/[.!?…]$/.test(sentence) ? sentence : `${sentence}.`, response.status, wait);
}

function showToken(wasWrong) {
  element("token").hidden = false;
  if (wasWrong) sessionStorage.removeItem(TOKEN);
  element("token-text").focus();
}

element("token").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, element("token-text").value.trim());
  element("token-text").value = "";
  element("token").hidden = true;
  answers.dispatchEvent(new Event("token"));
});
