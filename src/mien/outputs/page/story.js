// The film of a story: a decision names the clip that follows, and the camera becomes a mirror in the corner.
// Two players take turns, so that one clip goes over into the next without a dark moment.

export class Film {
  constructor(stage, root, changed) {
    Object.assign(this, { stage, root, changed, clips: new Set(), now: null, playing: null, request: 0 });
    this.players = [...stage.querySelectorAll("video")];
    for (const kind of ["keydown", "pointerdown"]) {
      addEventListener(kind, () => { for (const player of this.players) player.muted = false; });
    }
  }

  learn(about) {
    this.clips = new Set(about.clips ?? []);
    this.address = about.clipAddress;
  }

  decide(event) {
    if (this.clips.has(event.clip)) this.play(event);
  }

  play(event) {
    const request = ++this.request;
    const [old, next] = this.players[0] === this.playing ? this.players : [...this.players].reverse();
    next.src = this.address(event.clip);
    next.onloadedmetadata = () => { // a page that was opened later joins where the film is
      const late = this.now === null ? 0 : this.now - event.time_s;
      if (late > 1) next.currentTime = Math.min(late, Math.max(0, next.duration - 0.1));
    };
    next.oncanplay = async () => {
      next.oncanplay = null;
      if (request !== this.request) return;
      this.root.dataset.film = "yes";
      this.root.dataset.clip = event.clip;
      this.stage.hidden = false;
      this.playing = next;
      await next.play().catch(() => { // browsers play sound only after a key or a touch
        next.muted = true;
        return next.play();
      }).catch(() => {});
      next.dataset.front = "yes";
      old.dataset.front = "no";
      old.pause();
      this.changed();
    };
    next.load();
  }

  stop() {
    this.request += 1;
    this.playing = null;
    this.now = null; // the next run has its own time
    this.stage.hidden = true;
    for (const player of this.players) player.removeAttribute("src"), player.load();
    delete this.root.dataset.film;
    delete this.root.dataset.clip;
    this.changed();
  }
}
