// Bars of probabilities: a row for each class, with its name, a bar and the number.

import { made, percent, percentage } from "./elements.js";
import { card } from "./card.js";

export class Bars {
  constructor(list) {
    this.list = list;
    this.rows = [];
  }

  show(entries, best) {
    while (this.rows.length < entries.length) this.rows.push(this.#added());
    while (this.rows.length > entries.length) this.rows.pop().row.remove();
    entries.forEach(([name, share], index) => {
      const { row, text, bar, number } = this.rows[index];
      row.classList.toggle("best", name === best);
      if (text.textContent !== name) text.textContent = text.title = name;
      bar.style.width = percentage(share);
      number.textContent = percent(share);
    });
  }

  #added() {
    const [row, text, track, bar, number] = [
      made("li"), made("span", "class"), made("span", "track"), made("span", "bar"), made("span", "share"),
    ];
    track.ariaHidden = "true";
    track.append(bar);
    row.append(text, track, number);
    this.list.append(row);
    return { row, text, bar, number };
  }
}

export const byProbability = (probabilities) => Object.entries(probabilities).sort((one, other) => other[1] - one[1]);

// In the model's order of classes; an object has numbers in another one.
export const inOrder = (probabilities) => {
  const known = card?.classes.map(({ name }) => name).filter((name) => Object.hasOwn(probabilities, name)) ?? [];
  const names = known.length === Object.keys(probabilities).length ? known : Object.keys(probabilities);
  return names.map((name) => [name, probabilities[name]]);
};
