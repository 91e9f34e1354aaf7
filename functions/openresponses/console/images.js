// Images of a message: pasted, dropped or chosen, and kept as data URLs until they are sent.

import { at, fill, h, plain } from "./dom.js";
import { size } from "./format.js";

const KINDS = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const MOST = 4_000_000; // bytes: in base64 a request has 6 MB at most

export class Images {
  /** @param {(problem: string) => void} refuse */
  constructor(refuse) {
    /** @type {{name: string, bytes: number, url: string}[]} */
    this.list = [];
    this.refuse = refuse;
    const message = at("message");
    const composer = at("composer");
    at("image-button").addEventListener("click", () => at("image-file").click());
    at("image-file").addEventListener("change", (/** @type {any} */ event) => {
      this.add(event.target.files);
      event.target.value = "";
    });
    message.addEventListener("paste", (/** @type {ClipboardEvent} */ event) => {
      const files = event.clipboardData?.files;
      if (files?.length) (event.preventDefault(), this.add(files));
    });
    composer.addEventListener("dragover", (/** @type {DragEvent} */ event) => {
      event.preventDefault();
      composer.classList.add("over");
    });
    composer.addEventListener("dragleave", () => composer.classList.remove("over"));
    composer.addEventListener("drop", (/** @type {DragEvent} */ event) => {
      event.preventDefault();
      composer.classList.remove("over");
      if (event.dataTransfer?.files.length) this.add(event.dataTransfer.files);
    });
  }

  /** @param {FileList | File[]} files */
  async add(files) {
    for (const file of files) {
      if (!KINDS.includes(file.type)) this.refuse(`${plain(file.name)} is no PNG, JPEG, GIF or WebP image`);
      else if (this.list.reduce((sum, each) => sum + each.bytes, file.size) > MOST) this.refuse(`Images may have ${size(MOST)} in all`);
      else this.list.push({ name: file.name || "pasted image", bytes: file.size, url: await dataUrl(file) });
    }
    this.draw();
  }

  draw() {
    const each = (/** @type {typeof this.list[number]} */ image) =>
      h(
        "li",
        {},
        h("img", { src: image.url, alt: plain(image.name) }),
        h("button", { type: "button", class: "quiet", "aria-label": `Remove ${plain(image.name)}`, on: { click: () => this.remove(image) } }, "×"),
      );
    fill(at("images"), this.list.map(each));
  }

  /** @param {typeof this.list[number]} image */
  remove(image) {
    this.list = this.list.filter((each) => each !== image);
    this.draw();
    at("message").focus();
  }

  /** As parts of a message. */
  parts() {
    return this.list.map((each) => ({ type: "input_image", image_url: each.url }));
  }

  clear() {
    this.list = [];
    this.draw();
  }
}

/** @param {File} file @returns {Promise<string>} */
function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
