// What the parts of the page share: elements, numbers as text, sentences for people.

export const element = (id) => document.getElementById(id);
export const percent = (share) => `${(share * 100).toFixed(1)} %`;
export const percentage = (share) => `${share * 100}%`;

export function made(tag, className = "", text = "") {
  const one = document.createElement(tag);
  if (className) one.className = className;
  if (text !== "") one.textContent = text;
  return one;
}

// Where a box of a picture lies, whatever the size at which the picture is shown.
export function placed(box, [left, top, width, height], pictureWidth, pictureHeight) {
  box.style.left = percentage(left / pictureWidth);
  box.style.top = percentage(top / pictureHeight);
  box.style.width = percentage(width / pictureWidth);
  box.style.height = percentage(height / pictureHeight);
}

export function showFailure(id, sentence) {
  element(id).textContent = sentence ?? "";
  element(id).hidden = !sentence;
}

// For those who hear the page.
export function readOut(sentence) {
  element("live").textContent = sentence;
}
