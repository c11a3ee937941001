// The page of a served model: its card, predictions for pictures, and the camera. It talks to the server that it came
// from (GET card, POST predict) and to nobody else.

import "./pictures.js";
import "./camera.js";
import { loadCard } from "./card.js";

loadCard();
