// The two ways in: what the server's camera sees, and what this browser's camera sees.
// Both call the same listeners: about(hello), readings(message, picture, timing), event(event), connection(state).

const PAUSES_MS = [300, 600, 1200, 2400, 4000];
const SILENCE_MS = 12000; // with a word every few seconds, a longer silence means that nobody is there
const WORD_MS = 4000;

// A server that wants a token takes it from the part of the address after "#", which browsers keep to themselves.
// There a "+" is itself, not a space.
const given = () => new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B")).get("token") ?? "";
export const token = given();
addEventListener("hashchange", () => { if (given() && given() !== token) location.reload(); });

export function address(path, query = {}, scheme = location.protocol) {
  const url = new URL(path, location.href);
  url.hash = "";
  url.search = new URLSearchParams(token ? { ...query, token } : query);
  url.protocol = scheme;
  return url.href;
}

class Line { // a WebSocket that comes back
  constructor(path, query, listeners) {
    Object.assign(this, { path, query, listeners, tries: 0, closed: false });
    this.connect();
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = (this.socket = new WebSocket(address(this.path, this.query, scheme)));
    socket.binaryType = "arraybuffer";
    this.heard = performance.now();
    socket.onopen = () => {
      this.tries = 0;
      this.heard = performance.now();
      this.listeners.opened();
    };
    socket.onmessage = ({ data }) => {
      this.heard = performance.now();
      if (socket === this.socket) this.listeners.heard(data);
    };
    socket.onclose = () => this.again(socket);
    clearInterval(this.timer);
    this.timer = setInterval(() => this.listen(), WORD_MS);
  }

  listen() {
    if (performance.now() - this.heard > SILENCE_MS) this.socket.close(), this.again(this.socket);
    else if (this.socket.readyState === WebSocket.OPEN) this.listeners.pause?.();
  }

  again(socket) {
    if (this.closed || socket !== this.socket) return;
    clearInterval(this.timer);
    this.socket = null;
    this.listeners.lost();
    const pause = PAUSES_MS[Math.min(this.tries++, PAUSES_MS.length - 1)];
    this.waiting = setTimeout(() => this.connect(), pause * (0.8 + 0.4 * Math.random()));
  }

  send(data) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(data);
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    clearTimeout(this.waiting);
    this.socket?.close();
  }
}

export class ServerCamera {
  constructor(listeners) {
    this.name = "server";
    this.listeners = listeners;
    this.ahead = 0; // seconds by which the server's clock is ahead of this one
    this.quickest = Infinity;
    this.line = new Line("v1/live", { video: 1 }, {
      opened: () => { listeners.connection("open"); this.ask(); },
      lost: () => { this.message = null; this.quickest = Infinity; listeners.connection("lost"); },
      heard: (data) => (typeof data === "string" ? this.word(JSON.parse(data)) : this.picture(data)),
      pause: () => this.ask(),
    });
  }

  ask() {
    this.line.send(JSON.stringify({ type: "ping", at: performance.now() }));
  }

  word(message) {
    if (message.type === "readings") this.message = message;
    else if (message.type === "hello") this.listeners.about(message);
    else if (message.type === "pong") this.clock(message);
    else this.listeners.event(message);
  }

  clock({ at, unix_s }) { // the quickest answer tells the time best
    const now = performance.now();
    this.quickest *= 1.05; // clocks drift: no answer is the best for ever
    if (now - at > this.quickest) return;
    this.quickest = now - at;
    this.ahead = unix_s - (performance.timeOrigin + (now + at) / 2) / 1000;
  }

  async picture(data) {
    const message = this.message;
    this.message = null;
    const bitmap = await createImageBitmap(new Blob([data], { type: "image/jpeg" })).catch(() => null);
    this.line.send('{"type":"seen"}'); // only now: a slow browser gets fewer pictures, never old ones
    if (!message || !bitmap || this.line.closed) return bitmap?.close();
    const captured = message.captured_unix_s;
    const passed = performance.timeOrigin + performance.now() - (captured - this.ahead) * 1000;
    const screen_ms = captured === null ? null : Math.max(passed, message.latency_ms); // no sooner than read
    this.listeners.readings(message, bitmap, { ...message.pace, screen_ms });
  }

  close() {
    this.line.close();
  }
}

const WIDEST_PX = 640;
const IN_FLIGHT = 2; // one is read while the next is on its way
const LONGEST_MS = 2000; // an answer that takes longer is not waited for
const PACE_MS = 5000;
const QUALITY = 0.85;

export class BrowserCamera {
  constructor(listeners) {
    this.name = "browser";
    this.listeners = listeners;
    this.pace = [];
    this.begin();
    this.surface = document.createElement("canvas");
    this.video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
  }

  begin() { // the server counts the pictures of a connection from 0
    for (const { picture } of this.onTheWay?.values() ?? []) picture?.close();
    this.onTheWay = new Map();
    this.count = 0;
    this.busy = false;
  }

  async start() { // throws a sentence for people
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("The browser gives its camera only to pages from this computer or over https.");
    }
    try {
      const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" };
      this.stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    } catch (error) {
      throw new Error(REFUSALS[error.name] ?? `The camera cannot be used: ${error.message}.`);
    }
    if (this.closed) return this.close();
    this.stream.getVideoTracks()[0].onended = () => this.listeners.event(STOPPED);
    this.video.srcObject = this.stream;
    await this.video.play();
    this.line = new Line("v1/watch", {}, {
      opened: () => { this.begin(); this.listeners.connection("open"); },
      lost: () => { this.begin(); this.listeners.connection("lost"); },
      heard: (data) => this.word(JSON.parse(data)),
      pause: () => this.line.send('{"type":"ping"}'),
    });
    this.next();
  }

  next() {
    if (this.closed) return;
    const then = () => { this.grab(); this.next(); };
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(then);
    else requestAnimationFrame(then);
  }

  async grab() {
    const now = performance.now();
    if (this.line.socket?.readyState !== WebSocket.OPEN || !this.video.videoWidth || this.busy) return;
    for (const [number, { at, picture }] of this.onTheWay) {
      if (now - at > LONGEST_MS) picture.close(), this.onTheWay.delete(number);
    }
    if (this.onTheWay.size >= IN_FLIGHT) return; // the newest picture is taken when there is room for it
    const { socket } = this.line;
    this.busy = true;
    try {
      const [data, picture] = await this.take();
      if (socket !== this.line.socket || !data) return picture.close();
      this.onTheWay.set(this.count++, { at: now, picture });
      this.line.send(data);
    } finally { // also where a picture could not be taken; another connection began anew
      if (socket === this.line.socket) this.busy = false;
    }
  }

  take() {
    const scale = Math.min(1, WIDEST_PX / this.video.videoWidth);
    this.surface.width = Math.round(this.video.videoWidth * scale);
    this.surface.height = Math.round(this.video.videoHeight * scale);
    this.surface.getContext("2d", { alpha: false }).drawImage(this.video, 0, 0, this.surface.width, this.surface.height);
    return Promise.all([
      new Promise((done) => this.surface.toBlob(done, "image/jpeg", QUALITY)).then((blob) => blob?.arrayBuffer()),
      createImageBitmap(this.surface),
    ]);
  }

  word(message) {
    if (message.type === "hello") this.listeners.about({ emotions: message.emotions, model: message.model, version: message.version });
    else if (message.type === "readings") this.answer(message);
    else if (message.type === "error") {
      this.onTheWay.get(message.frame)?.picture.close();
      this.onTheWay.delete(message.frame);
      this.listeners.event(message);
    }
  }

  answer(message) {
    const sent = this.onTheWay.get(message.frame);
    for (const [number, { picture }] of this.onTheWay) { // those before it were passed over
      if (number < message.frame) picture.close();
      if (number <= message.frame) this.onTheWay.delete(number);
    }
    if (!sent) return;
    const now = performance.now();
    this.pace.push([now, now - sent.at]);
    while (now - this.pace[0][0] > PACE_MS) this.pace.shift();
    const sorted = this.pace.map(([, ms]) => ms).sort((a, b) => a - b);
    const passed = (now - this.pace[0][0]) / 1000;
    const rate_hz = passed ? (this.pace.length - 1) / passed : 0;
    this.listeners.readings(message, sent.picture, { rate_hz, latency_ms: sorted[sorted.length >> 1], screen_ms: now - sent.at });
  }

  close() {
    this.closed = true;
    this.line?.close();
    this.begin();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.video.srcObject = null;
  }
}

const STOPPED = { type: "status", state: "waiting", message: "The browser’s camera has stopped." };
const REFUSALS = {
  NotAllowedError: "The browser was not allowed to use the camera. Allow it in the browser’s settings for this page, then try again.",
  NotFoundError: "This computer has no camera that the browser can find. Plug one in, then try again.",
  NotReadableError: "The camera is used by another program. Close that, then try again.",
};
