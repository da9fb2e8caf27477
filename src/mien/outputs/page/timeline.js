// The last minute of each person: the height is the probability of the displayed expression, the colour which it is.

const SPAN_S = 60;
const STEP_S = 0.1; // so many samples a second are enough for a line of this width, and memory stays small
const LANES = 5;
const LOWEST_PX = 12;
const AWAY_S = 1;

export class Timeline {
  constructor(canvas, calm) {
    Object.assign(this, { canvas, calm, lanes: new Map(), pauses: [], drawn: -Infinity, last: null });
  }

  clear() {
    this.lanes.clear();
    this.last = null;
    this.draw(performance.now() / 1000, {}, true);
  }

  add(now, faces, colourOf) {
    for (const face of faces) {
      if (!this.lanes.has(face.track)) this.lanes.set(face.track, { samples: [], who: colourOf(face.track) });
      const samples = this.lanes.get(face.track).samples;
      if (samples.length && now - samples[samples.length - 1].at < STEP_S * 0.9) continue;
      samples.push({ at: now, emotion: face.shown, share: face.share });
    }
  }

  draw(now, colours, force = false) {
    const every = this.calm.matches ? 1 : 0.05;
    if (!force && now - this.drawn < every) return;
    this.drawn = now;
    for (const [track, lane] of this.lanes) {
      while (lane.samples.length && now - lane.samples[0].at > SPAN_S) lane.samples.shift();
      if (!lane.samples.length) this.lanes.delete(track);
    }
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const scale = (devicePixelRatio * this.canvas.getBoundingClientRect().width) / Math.max(width, 1); // zoomed, too
    if (this.canvas.width !== Math.round(width * scale)) this.canvas.width = Math.round(width * scale);
    if (this.canvas.height !== Math.round(height * scale)) this.canvas.height = Math.round(height * scale);
    const pen = this.canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = "12px system-ui, 'Noto Sans', 'Liberation Sans', sans-serif";
    this.ticks(pen, width, height);
    const shown = [...this.lanes].sort((a, b) => b[1].samples.at(-1).at - a[1].samples.at(-1).at || a[0] - b[0])
      .slice(0, Math.min(LANES, Math.floor((height - 18) / LOWEST_PX)));
    shown.sort((a, b) => a[0] - b[0]);
    const room = (height - 18) / Math.max(shown.length, 1);
    shown.forEach(([track, lane], i) => this.lane(pen, track, lane, { now, colours, width, top: i * room, high: Math.min(room - 4, 72) }));
  }

  ticks(pen, width, height) {
    const left = 46;
    pen.fillStyle = "#6c6f7a";
    pen.strokeStyle = "#1b1d24";
    pen.lineWidth = 1;
    pen.textBaseline = "bottom";
    for (let s = 0; s <= SPAN_S; s += 10) {
      const x = Math.round(width - ((width - left) * s) / SPAN_S) + (s ? 0.5 : -0.5);
      pen.beginPath();
      pen.moveTo(x, 0);
      pen.lineTo(x, height - 18);
      pen.stroke();
      pen.textAlign = s === 0 ? "right" : "center";
      if (s === 0 || (s % 20 === 0 && width > 420) || s === SPAN_S) pen.fillText(s ? `−${s} s` : "now", x, height);
    }
  }

  lane(pen, track, { samples, who }, { now, colours, width, top, high }) {
    const left = 46;
    const x = (at) => width - ((width - left) * (now - at)) / SPAN_S;
    const base = top + high;
    pen.fillStyle = "#1b1d24";
    pen.fillRect(left, base, width - left, 1);
    for (const run of runs(samples)) {
      const tone = colours[run.emotion] ?? "#8c8c8c";
      const points = run.points.map(([at, share]) => [x(at), base - Math.max(1.5, high * share)]);
      pen.beginPath();
      for (const point of points) pen.lineTo(...point);
      pen.lineTo(points.at(-1)[0], base);
      pen.lineTo(points[0][0], base);
      pen.globalAlpha = 0.38;
      pen.fillStyle = tone;
      pen.fill();
      pen.beginPath();
      for (const point of points) pen.lineTo(...point);
      pen.globalAlpha = 1;
      pen.strokeStyle = tone;
      pen.lineWidth = 2;
      pen.stroke();
    }
    pen.fillStyle = who;
    pen.beginPath();
    pen.arc(6, base - Math.min(8, high / 2), 4, 0, 7);
    pen.fill();
    pen.fillStyle = "#9a9ca6";
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    pen.fillText(`#${track}`, 15, base - Math.min(8, high / 2) + 0.5);
  }
}

function runs(samples) { // stretches of one expression; where somebody was away there is a gap
  const found = [];
  let run = null;
  for (const { at, emotion, share } of samples) {
    const gap = run ? at - run.points.at(-1)[0] : Infinity;
    if (run && gap <= AWAY_S) run.points.push([at, share]);
    if (!run || gap > AWAY_S || emotion !== run.emotion) found.push((run = { emotion, points: [[at, share]] }));
  }
  return found;
}
