// The shown part of time and its place on the screen: time <-> pixels, zoom, pan. The axis is true to scale.

const GUTTER = 112; // the column of lane names

/** The largest number of pixels per unit of time. */
const SCALE_MAX = { nanoseconds: 40, order: 160 };

class View {
  constructor(data) {
    this.data = data;
    this.width = 800; // of the canvas, gutter included
    this.height = 400;
    this.top = 0; // the scroll position of the lanes
    this.left = data.start; // the time at the left edge of the plot
    this.scale = 1; // pixels per unit of time
  }

  /** The width of the plot in pixels. */
  get plot() {
    return Math.max(50, this.width - GUTTER);
  }

  get right() {
    return this.left + this.plot / this.scale;
  }

  x(time) {
    return GUTTER + (time - this.left) * this.scale;
  }

  time(x) {
    return this.left + (x - GUTTER) / this.scale;
  }

  /** Changes the size and keeps the shown part of time. */
  resize(width, height) {
    const shown = this.plot / this.scale;
    this.width = width;
    this.height = height;
    this.scale = this.plot / shown;
  }

  get fitScale() {
    return (this.plot * 0.96) / (this.data.end - this.data.start);
  }

  /** Shows everything. */
  fit(animated = false) {
    const padding = (this.data.end - this.data.start) / 48;
    this.show(this.data.start - padding, this.data.end + padding, animated);
  }

  /** Shows the time from `from` to `to`. */
  show(from, to, animated = false) {
    const scale = this.plot / Math.max(to - from, 1e-9);
    this.moveTo((from + to) / 2, scale, animated);
  }

  /** Widens a unit of time by `factor`. The time at `x` stays there. */
  zoom(factor, x = GUTTER + this.plot / 2, animated = false) {
    const scale = this.bounded(this.scale * factor);
    const fixed = this.time(x);
    const left = fixed - (x - GUTTER) / scale;
    this.moveTo(left + this.plot / scale / 2, scale, animated);
  }

  /** Moves the timeline by `pixels` to the right: earlier times appear. */
  pan(pixels, animated = false) {
    this.moveTo(this.left + (this.plot / 2 - pixels) / this.scale, this.scale, animated);
  }

  bounded(scale) {
    const max = Math.max(SCALE_MAX[this.data.unit], this.fitScale);
    return Math.min(Math.max(scale, this.fitScale / 2), max);
  }

  /** Shows the time around `center`, at once or animated over a fifth of a second. */
  moveTo(center, scale, animated) {
    cancelAnimationFrame(this.animation);
    scale = this.bounded(scale);
    center = Math.min(Math.max(center, this.data.start), this.data.end);
    const set = (c, s) => {
      this.scale = s;
      this.left = c - this.plot / s / 2;
      redraw();
    };
    if (!animated || matchMedia("(prefers-reduced-motion: reduce)").matches) return set(center, scale);
    const from = { center: this.left + this.plot / this.scale / 2, scale: this.scale };
    const begin = performance.now();
    const step = (now) => {
      const done = Math.min(1, Math.max(0, (now - begin) / 200));
      const eased = 1 - (1 - done) ** 3;
      const s = from.scale * (scale / from.scale) ** eased;
      // While the scale changes, the center moves such that the target glides and does not leave the view.
      const share = from.scale === scale ? eased : (1 / from.scale - 1 / s) / (1 / from.scale - 1 / scale);
      set(from.center + (center - from.center) * share, s);
      if (done < 1) this.animation = requestAnimationFrame(step);
    };
    this.animation = requestAnimationFrame(step);
  }
}
