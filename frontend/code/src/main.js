/**
 * Colours for code. It is loaded when the first block of code is on the page, works when the page has nothing
 * else to do, and reads each line once.
 *
 * The page writes code as texts, one after the other, and may still change the last of them while a reply
 * streams. So here only those before it are touched: first they are moved into parts of some lines, then each
 * is replaced by the same text with words of it in elements. A selection in it stays where it was.
 */

import { Reader } from "./reader.js";
import { loaderOf } from "./languages.js";

/** How long it works at a time. The browser needs ten times as long for the style of what comes of it. */
const SLICE_MS = 2;

/**
 * So many lines stand in a block of their own: what grows is then laid out without what is before it. A whole
 * line ends each, so nobody sees where.
 */
const LINES_A_PART = 40;

/**
 * A text that ends within a line and has as many characters stands in a box of its own. Else the browser would set the
 * whole line anew for each piece of it that comes.
 */
const LONG_PIECE = 1000;

/** What is known of each block. */
const blocks = new WeakMap();
const waiting = new Set();
let isDue = false;

function look(root) {
  for (const block of root.querySelectorAll("[data-text] figure.code")) note(block);
}

function note(block) {
  waiting.add(block);
  schedule();
}

function schedule() {
  if (isDue) return;
  isDue = true;
  if (window.requestIdleCallback) requestIdleCallback(work, { timeout: 120 });
  else setTimeout(work, 30);
}

function work() {
  isDue = false;
  const end = performance.now() + SLICE_MS;
  for (const block of waiting) {
    if (performance.now() > end) break;
    if (colour(block, end)) waiting.delete(block);
  }
  if (waiting.size > 0) schedule();
}

/** Colours what is new in a block; says whether all is done that can be done now. */
function colour(block, end) {
  const code = block.querySelector("code");
  // Reasoning has no cursor that tells where it still grows, and is no place for colours.
  if (!block.isConnected || !code || !block.closest("[data-text]")) return true;
  let known = blocks.get(code);
  if (known === undefined) {
    known = new State();
    blocks.set(code, known);
    const load = loaderOf(block.dataset.language ?? "");
    load?.().then((mode) => {
      known.mode = mode;
      known.reader = new Reader(mode);
      note(block);
    });
  }
  if (known.part && !known.part.isConnected) known.begin();
  // First all of it stands in parts, since to lay it out before costs more than all colours.
  for (let text; (text = finalText(code, known.part)); ) divide(text, known);
  while (known.reader && known.plain.length > 0) {
    read(known.plain.shift(), known.reader);
    if (performance.now() > end) return known.plain.length === 0;
  }
  return true;
}

/** The text behind the parts, if it is final: the last one may still grow, as long as the cursor is behind it. */
function finalText(code, part) {
  const text = part ? part.nextSibling : code.firstChild;
  if (text?.nodeType !== Node.TEXT_NODE) return undefined;
  const isOpen = text.nextSibling?.nodeType !== Node.TEXT_NODE && code.lastElementChild?.hasAttribute("data-cursor");
  return isOpen ? undefined : text;
}

/** How far a block has been read. */
class State {
  constructor() {
    this.begin();
  }

  /** Begins anew, as when the block was written anew. */
  begin() {
    // A block of no known language has no mode, and no colours.
    this.reader = this.mode && new Reader(this.mode);
    this.part = undefined;
    this.room = 0;
    this.plain = [];
  }
}

/** Moves a text into parts. */
function divide(text, known) {
  const { data } = text;
  replace(text, (put) => {
    for (let from = 0, to = 0; from < data.length; from = to) {
      if (known.room === 0) {
        known.part?.classList.add("whole");
        known.part = document.createElement("span");
        known.part.className = "lines";
        known.room = LINES_A_PART;
        text.before(known.part);
      }
      for (; known.room > 0 && to < data.length; ) {
        const at = data.indexOf("\n", to);
        to = at < 0 ? data.length : at + 1;
        if (at >= 0) known.room -= 1;
      }
      const lines = document.createTextNode(data.slice(from, to));
      if (to - from >= LONG_PIECE && data[to - 1] !== "\n") {
        const piece = document.createElement("span");
        piece.className = "piece";
        piece.append(lines);
        known.part.append(piece);
      } else {
        known.part.append(lines);
      }
      known.plain.push(lines);
      put(lines);
    }
  });
}

/** Puts coloured lines in the place of a plain text. */
function read(text, reader) {
  replace(text, (put) => {
    let pending = "";
    const add = (node) => {
      text.before(node);
      put(node);
    };
    const flush = () => {
      if (pending) add(document.createTextNode(pending));
      pending = "";
    };
    for (const line of text.data.split(/(?<=\n)/)) {
      const isWhole = line.endsWith("\n");
      for (const [part, kind] of reader.read(isWhole ? line.slice(0, -1) : line)) {
        if (!kind || part.trim() === "") {
          pending += part;
          continue;
        }
        flush();
        const span = document.createElement("span");
        span.className = kind;
        span.textContent = part;
        add(span);
      }
      if (isWhole) pending += "\n";
    }
    flush();
  });
}

/** Takes a text out once `make` has put other nodes in its place, which say the same. A selection stays. */
function replace(text, make) {
  const selection = getSelection();
  const ends = selection && selection.rangeCount > 0 ? [selection.anchorNode, selection.anchorOffset, selection.focusNode, selection.focusOffset] : [];
  const nodes = [];
  make((node) => nodes.push(node));
  text.remove();
  if (nodes.length > 0 && (ends[0] === text || ends[2] === text)) {
    const [anchor, anchorAt] = ends[0] === text ? place(nodes, ends[1]) : [ends[0], ends[1]];
    const [focus, focusAt] = ends[2] === text ? place(nodes, ends[3]) : [ends[2], ends[3]];
    selection.setBaseAndExtent(anchor, anchorAt, focus, focusAt);
  }
}

/** The place in these nodes that was so many characters behind the beginning of the text. */
function place(nodes, offset) {
  let left = offset;
  for (const node of nodes) {
    const text = node.nodeType === Node.TEXT_NODE ? node : node.firstChild;
    if (left <= text.data.length) return [text, left];
    left -= text.data.length;
  }
  const last = nodes.at(-1);
  return [last.parentNode, [...last.parentNode.childNodes].indexOf(last) + 1];
}

new MutationObserver((records) => {
  for (const { target } of records) {
    const block = target.nodeType === Node.ELEMENT_NODE ? target.closest("figure.code") : null;
    if (block) note(block);
    else if (target.nodeType === Node.ELEMENT_NODE && target.querySelector("figure.code")) {
      for (const added of target.querySelectorAll("figure.code")) {
        if (!blocks.has(added.querySelector("code")) || added === target.lastElementChild) note(added);
      }
    }
  }
}).observe(document.body, { childList: true, subtree: true });
look(document);
