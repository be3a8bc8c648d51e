// The mask: paint over the photograph, sent as a PNG that is white where it may change.

const MASK_SIDE = 768;
const PAINT = [0, 200, 150];

class Mask {
  /** `onShown` is called when a picture has been decoded. */
  constructor(canvas, onShown) {
    this.canvas = canvas;
    this.onShown = onShown;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.shown = null; // data URL of what is painted
    this.last = null;
  }

  /** Fit to a photograph; what was painted goes. */
  fit(size) {
    const scale = Math.min(1, MASK_SIDE / Math.max(...size));
    const [width, height] = size.map((side) => Math.max(1, Math.round(side * scale)));
    this.canvas.width = width;
    this.canvas.height = height;
    this.shown = null;
  }

  /** Paint what a data URL shows, later: pictures are decoded in the background. */
  show(url) {
    if (url === this.shown) return;
    this.shown = url;
    if (!url) {
      this.wipe();
      return;
    }
    const picture = new Image();
    picture.onload = () => {
      if (this.shown !== url) return; // overtaken
      this.wipe();
      const { width, height } = this.canvas;
      this.context.drawImage(picture, 0, 0, width, height);
      const pixels = this.context.getImageData(0, 0, width, height);
      for (let i = 0; i < pixels.data.length; i += 4) {
        const opaque = (pixels.data[i] * pixels.data[i + 3]) / 255;
        pixels.data.set(PAINT, i);
        pixels.data[i + 3] = opaque;
      }
      this.context.putImageData(pixels, 0, 0);
      this.onShown();
    };
    picture.src = url;
  }

  /** Whether a place is painted. */
  holds(place) {
    const [x, y] = [this.canvas.width, this.canvas.height].map((side, axis) =>
      Math.min(side - 1, Math.floor(place[axis] * side)),
    );
    return this.context.getImageData(x, y, 1, 1).data[3] >= 128;
  }

  wipe() {
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** A stroke from where the last one ended; width in shares of the picture's. */
  stroke(place, width, erases) {
    const [x, y] = [place[0] * this.canvas.width, place[1] * this.canvas.height];
    const [fromX, fromY] = this.last || [x, y];
    const context = this.context;
    context.globalCompositeOperation = erases ? "destination-out" : "source-over";
    context.strokeStyle = `rgb(${PAINT.join(" ")})`;
    context.lineWidth = width * this.canvas.width;
    context.lineCap = "round";
    context.lineJoin = "round";
    context.beginPath();
    context.moveTo(fromX, fromY);
    context.lineTo(x, y + 0.001); // a line without length is not drawn
    context.stroke();
    context.globalCompositeOperation = "source-over";
    this.last = [x, y];
  }

  /** End a stroke; returns the data URL of all that is painted, null for nothing. */
  finish() {
    this.last = null;
    const { width, height } = this.canvas;
    const pixels = this.context.getImageData(0, 0, width, height);
    let painted = false;
    for (let i = 0; i < pixels.data.length; i += 4) {
      const white = pixels.data[i + 3];
      painted = painted || white >= 128;
      pixels.data[i] = pixels.data[i + 1] = pixels.data[i + 2] = white;
      pixels.data[i + 3] = 255;
    }
    if (!painted) {
      this.wipe();
      this.shown = null;
      return null;
    }
    const copy = document.createElement("canvas");
    copy.width = width;
    copy.height = height;
    copy.getContext("2d").putImageData(pixels, 0, 0);
    this.shown = copy.toDataURL("image/png");
    return this.shown;
  }
}
