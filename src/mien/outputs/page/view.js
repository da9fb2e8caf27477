// What people see: the picture, a box and a card for each person.

export const PEOPLE = ["#78d2c4", "#f2a65a", "#b8a1f7", "#f08aa8", "#a3c96f", "#74b4f4", "#e6d27a", "#d99bd6"];
const MANY = 3; // from so many people on, cards are small
const MOST_CARDS = 8;
const LINGER_MS = 1500;
const MOST_CUT = 1.4; // to fill a screen the picture is enlarged by this at most beyond what fits: nobody is cut off
const TINY_PX = 56; // under a smaller face the name alone is written

const percent = (share) => `${Math.round(share * 100)} %`;

function element(name, className, parent, text = "") {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.textContent = text;
  parent?.append(node);
  return node;
}

function put(node, text) { // touching a page that has not changed costs time
  if (node.textContent !== text) node.textContent = text;
}

// Every face in the same words, whether it comes from the server's camera or from this one.
export function plain(message) {
  return (message.faces ?? []).map((face, i) => {
    const shares = face.smoothed ?? face.probability ?? {};
    const shown = face.displayed ?? face.emotion;
    const best = Math.max(0, ...Object.values(shares));
    return { track: face.track ?? i, box: face.box_xyxy, shares, shown, share: shares[shown] ?? best };
  });
}

export class View {
  constructor(root) {
    this.root = root;
    this.stage = document.getElementById("stage");
    this.picture = document.getElementById("picture");
    this.canvas = document.getElementById("canvas");
    this.boxes = document.getElementById("boxes");
    this.cards = document.getElementById("cards");
    this.people = new Map();
    this.colours = {};
    this.size = [640, 480];
    new ResizeObserver(() => this.fit()).observe(this.stage);
  }

  clear() {
    for (const track of [...this.people.keys()]) this.forget(track);
    this.root.dataset.pictured = "no";
    this.root.dataset.faces = "0";
  }

  fit() { // the whole picture where there is room for more than it; a screen is filled by it
    const [width, height] = this.size;
    const film = this.root.dataset.film === "yes";
    const all = [this.stage.clientWidth / width, this.stage.clientHeight / height];
    let scale = Math.min(...all);
    if (this.root.dataset.view === "stage") scale = Math.min(Math.max(...all), scale * MOST_CUT);
    if (film) scale = Math.min(...all) * 0.24;
    const [w, h] = [width * scale, height * scale];
    Object.assign(this.picture.style, {
      width: `${w}px`, height: `${h}px`, left: `${(this.stage.clientWidth - w) / 2}px`, top: `${(this.stage.clientHeight - h) / 2}px`,
    });
    this.stage.style.setProperty("--ratio", `${width} / ${height}`);
    this.scale = scale;
    this.edge = {
      left: Math.max(0, (w - this.stage.clientWidth) / 2), right: Math.min(w, (w + this.stage.clientWidth) / 2),
      top: Math.max(0, (h - this.stage.clientHeight) / 2), bottom: Math.min(h, (h + this.stage.clientHeight) / 2),
    };
  }

  show(message, bitmap) {
    if (bitmap) {
      if (this.canvas.width !== bitmap.width || this.canvas.height !== bitmap.height) {
        Object.assign(this.canvas, { width: bitmap.width, height: bitmap.height });
      }
      this.canvas.getContext("2d", { alpha: false }).drawImage(bitmap, 0, 0);
      bitmap.close();
      this.root.dataset.pictured = "yes";
    }
    if (message.width !== this.size[0] || message.height !== this.size[1]) {
      this.size = [message.width, message.height];
      this.fit();
    }
    const faces = plain(message);
    const now = performance.now();
    for (const face of faces) this.person(face, now);
    for (const [track, one] of this.people) {
      const away = now - one.seen;
      one.box.hidden = away > 0;
      one.card.classList.toggle("gone", away > 250);
      if (away > LINGER_MS) this.forget(track);
    }
    this.root.dataset.faces = String(faces.length);
    this.tidy();
    return faces;
  }

  colour(track) {
    const one = this.people.get(track);
    if (one) return one.who;
    const used = [...this.people.values()].map((person) => person.who);
    const count = (who) => used.filter((other) => other === who).length;
    const [start, n] = [track % PEOPLE.length, PEOPLE.length];
    return PEOPLE.map((_, i) => PEOPLE[(start + i) % n]).reduce((best, who) => (count(who) < count(best) ? who : best));
  }

  person(face, now) {
    const one = this.people.get(face.track) ?? this.meet(face);
    one.seen = now;
    this.place(one, face.box);
    one.box.dataset.emotion = one.card.dataset.emotion = face.shown;
    one.card.dataset.share = face.share.toFixed(3);
    put(one.name, face.shown);
    put(one.share, percent(face.share));
    put(one.shown, face.shown);
    put(one.sure, percent(face.share));
    for (const [emotion, bar] of one.bars) {
      const share = face.shares[emotion] ?? 0;
      bar.row.style.setProperty("--share", share.toFixed(3));
      bar.row.classList.toggle("most", emotion === face.shown);
      put(bar.text, percent(share));
    }
  }

  meet(face) {
    const who = this.colour(face.track);
    const box = element("div", "box", this.boxes);
    const tag = element("div", "tag", box);
    element("span", "dot", tag);
    const name = element("span", "", tag);
    const share = element("span", "share", tag);
    const card = element("li", "card");
    const head = element("h2", "", card);
    element("span", "dot", head);
    element("span", "", head, `#${face.track}`);
    const sure = element("span", "share", head);
    const shown = element("p", "shown", card);
    const list = element("ul", "bars", card);
    const bars = new Map();
    for (const emotion of Object.keys(face.shares)) {
      const row = element("li", "bar", list);
      row.dataset.emotion = emotion;
      row.style.setProperty("--tone", this.colours[emotion] ?? "#8c8c8c");
      element("span", "", row, emotion);
      element("i", "", row);
      bars.set(emotion, { row, text: element("b", "", row) });
    }
    for (const node of [box, card]) {
      node.dataset.track = face.track;
      node.style.setProperty("--who", who);
    }
    const after = [...this.cards.children].find((other) => Number(other.dataset.track) > face.track);
    this.cards.insertBefore(card, after ?? null);
    const one = { who, box, tag, card, name, share, shown, sure, bars, seen: 0 };
    this.people.set(face.track, one);
    return one;
  }

  place(one, [left, top, right, bottom]) {
    const [width, height] = this.size;
    const mirrored = this.root.dataset.mirror === "yes";
    const x = (mirrored ? width - right : left) * this.scale;
    const [y, w, h] = [top * this.scale, (right - left) * this.scale, (bottom - top) * this.scale];
    one.box.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
    one.box.style.width = `${w.toFixed(1)}px`;
    one.box.style.height = `${h.toFixed(1)}px`;
    one.box.dataset.box = [left, top, right, bottom].map((v) => Math.round(v)).join(" ");
    const tag = w < TINY_PX ? 95 : 175;
    one.box.classList.toggle("tiny", w < TINY_PX);
    one.box.classList.toggle("low", y + h + 44 > this.edge.bottom && y - 44 > this.edge.top);
    one.box.classList.toggle("far", x + tag > this.edge.right && x + w - tag > this.edge.left);
  }

  forget(track) {
    const one = this.people.get(track);
    one.box.remove();
    one.card.remove();
    this.people.delete(track);
  }

  tidy() {
    const cards = this.cards.children;
    const many = cards.length >= MANY ? "yes" : "no";
    if (this.cards.dataset.many !== many) this.cards.dataset.many = many;
    this.root.dataset.cards = String(cards.length);
    for (let i = 0; i < cards.length; i++) cards[i].hidden = i >= MOST_CARDS;
  }
}
