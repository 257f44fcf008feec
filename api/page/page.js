// The page asks GET /models every two seconds what is live, and POST /surface and /weather for answers.

const POLL = 2000; // milliseconds
const DAY = 24 * 3600 * 1000;

const find = (selector, root = document) => root.querySelector(selector);
const words = (name) => name.replaceAll("_", " ");

// ---- asking

class Refused extends Error {
  // status: of HTTP; 599 where there was no answer; 400 where there was no request
  constructor(message, status = 400) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The server cannot be reached.", 599);
  }
  let value = {};
  try {
    value = await response.json();
  } catch {
    // not from the API itself; the status says enough
  }
  if (!response.ok) throw new Refused(value.error ?? `The server answered ${response.status}.`, response.status);
  return value;
}

// ---- one model: what is live, and its last answer

class Card {
  constructor(section, model) {
    this.section = section;
    this.model = model;
    this.live = undefined; // as GET /models has it; undefined: not known yet
    this.answered = undefined; // the version of the answer that is shown
    this.repeat = undefined; // asks the same again
    this.number = 0; // of the last question
    this.line = find(".live", section);
    this.outcome = find(".outcome", section);
    this.news = find(".news", section);
    find("button", this.news).addEventListener("click", () => this.repeat?.());
  }

  // What answers now, and whether that is news.
  update(live) {
    const before = this.live;
    this.live = live;
    const state = live.version ? "ready" : live.fallback ? "fallback" : "none";
    this.line.className = `live ${state}`;
    find(".live-text", this.line).textContent = this.sentence();
    const version = live.version ?? (live.fallback ? null : undefined);
    if (this.answered !== undefined && version !== undefined) {
      this.tell(version !== this.answered ? this.answered : undefined);
    } else if (before?.version && live.version && before.version !== live.version) {
      this.tell(before.version);
    }
  }

  sentence() {
    const { version, since, deployed, fallback, refused } = this.live;
    let text = `${this.model}: nothing is deployed, so nothing can answer.`;
    if (version) {
      const when = since ? `, live since ${new Date(since).toLocaleString()}` : "";
      text = `${this.model} ${version}${when}.`;
    } else if (fallback) {
      text = `${this.model}: no version is deployed; the pipeline's own output answers, which is not released.`;
    } else if (deployed) {
      text = `${this.model}: ${refused ? "nothing can answer now." : "the live version is being loaded."}`;
    }
    if (!refused) return text;
    return `${text} ${refused.version ?? "Another version"} was not taken: ${refused.reason}.`;
  }

  // Say that another version is live than `old`; undefined: nothing to say.
  tell(old) {
    this.news.hidden = old === undefined;
    if (old === undefined) return;
    const now = this.live.version ?? "the pipeline's own output";
    const former = old ?? "the pipeline's own output";
    const shown = this.answered === old && this.repeat ? ` The answer below is of ${former}.` : "";
    const text = `Version ${now} is live now; it was ${former}.${shown}`;
    const button = find("button", this.news);
    button.hidden = !shown;
    button.textContent = `Ask ${now}`;
    if (find("span", this.news).textContent !== text) find("span", this.news).textContent = text;
  }

  // Ask a question; of several, only the last one's answer is shown.
  async question(path, options) {
    const number = ++this.number;
    this.news.hidden = true;
    this.abort?.abort();
    this.abort = new AbortController();
    this.repeat = () => this.question(path, options);
    this.outcome.setAttribute("aria-busy", "true");
    try {
      const answer = await ask(path, { method: "POST", signal: this.abort.signal, ...options });
      if (number === this.number) this.show(answer);
    } catch (error) {
      if (number === this.number) this.fail(error);
    } finally {
      if (number === this.number) {
        this.outcome.setAttribute("aria-busy", "false");
        this.outcome.scrollIntoView({ block: "nearest" });
      }
    }
  }

  show(answer) {
    const copy = find("#answer").content.cloneNode(true);
    find("h3", copy).textContent = words(answer.answer);
    for (const [name, share] of Object.entries(answer.probabilities)) {
      find(".bars", copy).append(bar(name, share, name === answer.answer));
    }
    const samples = answer.samples > 1 ? `, the mean over ${answer.samples} patches` : "";
    const origin = find(".origin", copy);
    origin.textContent = answer.version
      ? `Answered by ${answer.model} ${answer.version}${samples}.`
      : `Answered by the pipeline's own output, which is not released${samples}: no version of ${answer.model} is deployed.`;
    if (!answer.version) origin.classList.add("notice", "warning");
    this.outcome.replaceChildren(copy);
    this.answered = answer.version;
    this.news.hidden = true;
    poll.soon();
  }

  retry() {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Try again";
    button.addEventListener("click", () => this.repeat());
    return button;
  }

  fail(error) {
    if (!(error instanceof Refused)) throw error;
    this.answered = undefined;
    this.news.hidden = true;
    const notice = document.createElement("p");
    notice.className = "notice error";
    notice.textContent = `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)} `;
    if (error.status >= 500) notice.append(this.retry());
    this.outcome.replaceChildren(notice);
  }
}

function bar(name, share, isBest) {
  const copy = find("#bar").content.cloneNode(true);
  const percent = `${(100 * share).toFixed(1)} %`;
  find(".name", copy).textContent = words(name);
  find(".percent", copy).textContent = percent;
  find("li", copy).classList.toggle("best", isBest);
  const filled = find(".filled", copy);
  requestAnimationFrame(() => { filled.style.width = percent.replace(" ", ""); });
  return copy;
}

const surface = new Card(find("#surface"), "dl_model");
const weather = new Card(find("#weather"), "ml_model");

// ---- what is live

const poll = {
  timer: undefined,
  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), 0);
  },
  async now() {
    const connection = find("#connection");
    try {
      const models = await ask("models");
      for (const card of [surface, weather]) card.update(models[card.model]);
      connection.hidden = true;
      await describe();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      connection.textContent = error.message;
      connection.hidden = false;
    } finally {
      clearTimeout(this.timer);
      if (!document.hidden) this.timer = setTimeout(() => this.now(), POLL);
    }
  },
};
document.addEventListener("visibilitychange", () => { if (!document.hidden) poll.soon(); });

// ---- a picture

let limits; // as GET /surface has them
let preview; // the address of what is shown
const zone = find(".drop");

function choose(file) {
  if (!file) return;
  if (limits && !limits.types.includes(file.type)) {
    return surface.fail(new Refused(`This is neither a JPEG nor a PNG picture: ${file.name}`));
  }
  if (limits && file.size > limits.bytes) {
    return surface.fail(new Refused(`This is larger than ${megabytes(limits.bytes)}: ${file.name}`));
  }
  if (preview) URL.revokeObjectURL(preview);
  preview = URL.createObjectURL(file);
  const image = find("img", zone);
  image.src = preview;
  image.alt = `The middle square of ${file.name}`;
  find("figcaption", zone).textContent = `${file.name}: its middle square is what the model is shown, in grey.`;
  find("figure", zone).hidden = false;
  find(".invitation", zone).hidden = true;
  return surface.question("surface", { body: file, headers: { "Content-Type": file.type } });
}

const megabytes = (bytes) => `${Math.floor(bytes / 2 ** 20)} MiB`;

find("[data-opens=camera]", zone).hidden = navigator.maxTouchPoints === 0; // elsewhere it would open files too
for (const button of zone.querySelectorAll("[data-opens]")) {
  button.addEventListener("click", () => find(`#${button.dataset.opens}`).click());
}
for (const input of zone.querySelectorAll("input")) {
  input.addEventListener("change", () => {
    choose(input.files[0]);
    input.value = ""; // so that the same file can be chosen again
  });
}
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  zone.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) zone.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault(); // else the browser opens the picture in place of the page
  zone.classList.remove("over");
  choose(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((item) => item.type.startsWith("image/"));
  if (file) choose(file);
});

// ---- the weather

let asked; // as GET /weather has it: the readings of a day, and how many days
const form = find("form");
const day = find("#day");

function dates() {
  const last = day.valueAsDate ?? new Date();
  return Array.from({ length: asked.days }, (_, index) => new Date(last - (asked.days - 1 - index) * DAY));
}

function label(date) {
  return date.toLocaleDateString(undefined, { timeZone: "UTC", day: "numeric", month: "short" });
}

function build() {
  const columns = Object.entries(asked.readings).map(([, reading]) => {
    const cell = document.createElement("th");
    const unit = document.createElement("small");
    cell.scope = "col";
    unit.textContent = reading.unit;
    cell.append(reading.title, unit);
    cell.title = reading.description;
    return cell;
  });
  find("thead tr", form).replaceChildren(find("thead th", form), ...columns);
  find("tbody", form).replaceChildren(...Array.from({ length: asked.days }, row));
}

function row() {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  line.append(head);
  for (const [name, reading] of Object.entries(asked.readings)) {
    const cell = document.createElement("td");
    const input = document.createElement("input");
    Object.assign(input, { type: "number", step: "any", required: true, min: reading.minimum, max: reading.maximum });
    input.inputMode = reading.minimum < 0 ? "text" : "decimal"; // a phone's decimal keys lack a minus
    input.dataset.reading = name;
    cell.append(input);
    line.append(cell);
  }
  return line;
}

function name_rows() {
  dates().forEach((date, index) => {
    const line = find("tbody", form).rows[index];
    line.cells[0].textContent = label(date);
    for (const input of line.querySelectorAll("input")) {
      const reading = asked.readings[input.dataset.reading];
      input.setAttribute("aria-label", `${label(date)}: ${reading.description}`);
    }
  });
}

function fill({ date, days }) {
  day.value = date;
  [...find("tbody", form).rows].forEach((line, index) => {
    const readings = days[days.length - asked.days + index] ?? {};
    for (const input of line.querySelectorAll("input")) input.value = readings[input.dataset.reading] ?? "";
  });
  name_rows();
}

async function describe() {
  if (!limits) {
    limits = await ask("surface");
    find(".hint", zone).textContent =
      `JPEG or PNG, at most ${megabytes(limits.bytes)}. The model knows ${limits.classes.map(words).join(", ")}.`;
  }
  const fresh = await form_of(weather.live);
  if (fresh && fresh.days !== asked?.days) {
    asked = fresh;
    build();
    fill(asked.example);
  }
}

let described; // the version that the form was described by
async function form_of(live) {
  const key = JSON.stringify([live?.version, live?.seq]);
  if (key === described) return undefined;
  const fresh = await ask("weather");
  described = key;
  return fresh;
}

day.addEventListener("change", () => { if (day.value) name_rows(); });
form.addEventListener("reset", (event) => {
  event.preventDefault();
  fill(asked.example);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!form.reportValidity()) return;
  const days = [...find("tbody", form).rows].map((line) =>
    Object.fromEntries([...line.querySelectorAll("input")].map((input) => [input.dataset.reading, input.valueAsNumber])),
  );
  weather.question("weather", {
    body: JSON.stringify({ date: day.value, days }),
    headers: { "Content-Type": "application/json" },
  });
});

poll.now();
