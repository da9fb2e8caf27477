// The page: who looks in from where, what is said, and the keys. Settings come with the address, for installations
// that start by themselves: ?view=stage&mirror=1&input=browser&boxes=0

import { address, BrowserCamera, ServerCamera } from "./inputs.js";
import { Film } from "./story.js";
import { Timeline } from "./timeline.js";
import { View } from "./view.js";

const root = document.body;
const $ = (id) => document.getElementById(id);
const wishes = new URLSearchParams(location.search);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const view = new View(root);
const timeline = new Timeline($("timeline"), calm);
const film = new Film($("film"), root, () => view.fit());
const IDLE_MS = 3000;
const QUIET_MS = 2500; // without a picture for so long, the page says so
const SPEAK_MS = 4000;
const EVENTS = 12;
const PACE_MS = 300;

let about = {};
let input = null;
let mirror = wishes.has("mirror") ? wishes.get("mirror") !== "0" : null;
let status = { state: "starting", message: "" };
let lastPicture = -Infinity;
let refusal = "";
let spoken = { text: "", at: 0 };
const told = { run: "", number: 0 };

// What comes in

const listeners = {
  about(hello) {
    if (about.version && hello.version !== about.version) return location.reload(); // the server was renewed
    if (told.run && told.run !== hello.run) forgetRun();
    told.run = hello.run ?? "";
    learn(hello);
  },
  readings(message, bitmap, pace) {
    lastPicture = performance.now();
    root.dataset.live = "yes";
    if (input.name === "browser") status = { state: "running", message: "" };
    const faces = view.show(message, bitmap);
    timeline.add(lastPicture / 1000, faces, (track) => view.colour(track));
    film.now = message.time_s ?? null;
    showPace(pace);
    speak(faces);
    say();
  },
  event(event) {
    if (event.type === "status") status = event;
    else if (event.type === "decision") decide(event);
    else if (event.type === "error") console.warn("mien:", event.error);
    else if (event.type === "notice") showDecision("", event.message);
    say();
  },
  connection(state) {
    root.dataset.connection = state;
    if (state === "lost") root.dataset.live = "no";
    say();
  },
};

function learn(hello) {
  about = { ...about, ...hello };
  view.colours = about.colours;
  const records = about.records ?? [];
  const kept = records.length ? `What is read is written to ${records.join(", ")}; pictures are not kept.` : "Nothing is kept.";
  $("notice-text").textContent = `Facial expressions are being read here. ${kept}`;
  $("help-records").textContent = records.length ? kept : "Pictures and readings are shown and forgotten; nothing is kept.";
  $("help-model").textContent = about.model ? `Model ${about.model}, mien ${about.version}.` : `mien ${about.version}.`;
  $("switch").hidden = !about.camera;
  const emotions = about.emotions?.length ? about.emotions : Object.keys(about.colours).filter((name) => name !== "unsure");
  $("legend").replaceChildren(...emotions.map((name) => {
    const item = document.createElement("li");
    const swatch = item.appendChild(document.createElement("i"));
    swatch.style.setProperty("--tone", about.colours[name]);
    item.append(name);
    return item;
  }));
  film.learn({ clips: about.clips, clipAddress: (clip) => address(`v1/live/clips/${clip.split("/").map(encodeURIComponent).join("/")}`) });
}

function forgetRun() {
  view.clear();
  timeline.clear();
  $("event-list").replaceChildren();
  shownPace.screen_ms = null;
  lastPicture = -Infinity;
  $("events").hidden = true;
  $("decision").hidden = true;
  told.number = 0;
  film.stop();
}

// What is said

const shownPace = { at: -Infinity, screen_ms: null };
function showPace({ rate_hz, latency_ms, screen_ms }) { // numbers that one can read: a few times a second
  const known = shownPace.screen_ms ?? screen_ms;
  shownPace.screen_ms = screen_ms === null ? null : known + 0.1 * (screen_ms - known);
  if (performance.now() - shownPace.at < PACE_MS) return;
  shownPace.at = performance.now();
  const whole = (value) => (value === null || value === undefined ? "–" : String(Math.round(value)));
  $("latency").dataset.ms = latency_ms ?? "";
  $("latency").textContent = whole(latency_ms);
  $("screen").textContent = whole(shownPace.screen_ms);
  $("rate").textContent = rate_hz ? rate_hz.toFixed(rate_hz < 9.95 ? 1 : 0) : "–";
}

function situation() {
  if (refusal) return [refusal, "", input?.name === "browser" || !about.camera ? "Try again" : ""];
  if (!input) return ["See what your face shows", "Your camera’s pictures go to this server, are read, and are forgotten.", "Use my camera"];
  if (root.dataset.connection === "lost") return ["The connection is lost", "Trying again…"];
  if (root.dataset.connection !== "open") return ["Connecting…", ""];
  if (status.state === "ended") return ["It is over", status.message];
  if (status.state === "waiting") return ["The camera does not answer", status.message || "Trying again…"];
  if (performance.now() - lastPicture > QUIET_MS) {
    return [lastPicture > -Infinity ? "The camera does not answer" : "Waiting for the first picture…", status.message];
  }
  return ["", ""];
}

function say() {
  root.dataset.state = status.state;
  const [title, more, act = ""] = situation();
  if ($("message-title").textContent !== title && title) $("message-title").textContent = title;
  if ($("message-more").textContent !== more && title) $("message-more").textContent = more;
  $("message").classList.toggle("open", Boolean(title));
  $("message-act").hidden = !act;
  $("message-act").textContent = act;
  root.dataset.said = title;
}

function speak(faces) { // for screen readers: who is there and what is shown, not thirty times a second
  const now = performance.now();
  const text = faces.length === 0 ? "No face" : faces.map((face) => `#${face.track} ${face.shown}`).join(", ");
  if (text === spoken.text || now - spoken.at < SPEAK_MS) return;
  spoken = { text, at: now };
  $("spoken").textContent = text;
}

function decide(event) {
  if (event.number <= told.number) return;
  told.number = event.number;
  const item = document.createElement("li");
  item.dataset.cue = event.cue;
  if (event.time_s !== null && event.time_s !== undefined) item.appendChild(document.createElement("time")).textContent = `${event.time_s.toFixed(1)} s`;
  item.appendChild(document.createElement("b")).textContent = event.cue;
  item.append(` ${event.reason ?? ""}`);
  $("event-list").prepend(item);
  while ($("event-list").children.length > EVENTS) $("event-list").lastChild.remove();
  $("events").hidden = false;
  if (lastPicture > -Infinity) showDecision(event.cue, event.reason ?? ""); // not what was decided before we came
  film.decide(event);
}

let hiding = 0;
function showDecision(cue, reason) {
  const strong = document.createElement("b");
  strong.textContent = cue;
  $("decision").replaceChildren(strong, cue ? ` ${reason}` : reason);
  $("decision").hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { $("decision").hidden = true; }, 6000);
}

// Where pictures come from

async function use(name) {
  input?.close();
  input = null;
  refusal = "";
  forgetRun();
  status = { state: "starting", message: "" };
  root.dataset.input = name;
  root.dataset.live = "no";
  root.dataset.connection = "connecting";
  setMirror(mirror ?? name === "browser", false);
  if (name === "none") return say();
  const chosen = (input = name === "browser" ? new BrowserCamera(listeners) : new ServerCamera(listeners));
  say();
  try {
    await chosen.start?.();
  } catch (error) {
    if (input === chosen) refusal = error.message;
    say();
  }
}

async function begin() {
  const answer = await fetch(address("v1/live/info")).catch(() => null);
  if (answer?.status === 401) {
    refusal = "This server needs its token: open the address that it printed, with #token=… at its end.";
    return say();
  }
  if (!answer?.ok) {
    root.dataset.connection = "lost";
    input = { name: "server", close() {} };
    say();
    return setTimeout(begin, 1500);
  }
  learn(await answer.json());
  const wished = wishes.get("input");
  await use(wished === "browser" || wished === "server" ? wished : about.camera ? "server" : "none");
}

// Keys and buttons

function press(id, on) {
  $(id).setAttribute("aria-pressed", String(on));
}

function setMirror(on, wished = true) {
  if (wished) mirror = on;
  root.dataset.mirror = on ? "yes" : "no";
  press("mirror", on);
}

function setStage(on) {
  root.dataset.view = on ? "stage" : "desk";
  press("full", on);
  view.fit();
  timeline.draw(performance.now() / 1000, view.colours, true);
}

async function toggleFull() {
  const on = root.dataset.view !== "stage";
  setStage(on);
  if (on) await document.documentElement.requestFullscreen?.().catch(() => {}); // without it the window is filled
  else if (document.fullscreenElement) await document.exitFullscreen();
}

const acts = {
  f: toggleFull,
  m: () => setMirror(root.dataset.mirror !== "yes"),
  c: () => about.camera !== undefined && use(input?.name === "server" || !about.camera ? "browser" : "server"),
  b: () => { root.dataset.boxes = root.dataset.boxes === "no" ? "yes" : "no"; },
  "?": () => ($("help").open ? $("help").close() : $("help").showModal()),
};

addEventListener("keydown", (event) => {
  const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});
$("full").onclick = acts.f;
$("mirror").onclick = acts.m;
$("switch").onclick = acts.c;
$("help-open").onclick = acts["?"];
$("help-close").onclick = () => $("help").close();
$("message-act").onclick = () => use("browser");
document.addEventListener("fullscreenchange", () => { if (!document.fullscreenElement) setStage(false); });

let idle = 0;
function awake() {
  root.dataset.idle = "no";
  clearTimeout(idle);
  idle = setTimeout(() => { root.dataset.idle = "yes"; }, IDLE_MS);
}
for (const kind of ["pointermove", "pointerdown", "keydown", "focusin"]) addEventListener(kind, awake);

// The line of time moves also while nothing comes

function tick() {
  timeline.draw(performance.now() / 1000, view.colours);
  requestAnimationFrame(tick);
}
setInterval(say, 1000);
root.dataset.pictured = "no";
root.dataset.boxes = wishes.get("boxes") === "0" ? "no" : "yes";
setStage(wishes.get("view") === "stage");
awake();
tick();
begin();
