/**
 * Colours for code. It is loaded when the first block of code is on the page, works when the page has nothing
 * else to do, and reads each line once.
 *
 * The page writes code as texts, one after the other, and may still change the last of them while a reply
 * streams. So here only those before it are touched: each is replaced by the same text with parts of it in
 * elements. A selection in it stays where it was.
 */

import { Reader } from "./reader.js";
import { loaderOf } from "./languages.js";

/** How long it works at a time. */
const SLICE_MS = 5;

/**
 * So many lines stand in a block of their own: what grows is then laid out without what is before it. A whole
 * line ends each, so nobody sees where.
 */
const LINES_A_PART = 40;

/** What is known of each block: its reader, or that it has none. */
const readers = new WeakMap();
const waiting = new Set();
let isDue = false;

function look(root) {
  for (const block of root.querySelectorAll("[data-text] figure.code")) note(block);
}

function note(block) {
  waiting.add(block);
  if (isDue) return;
  isDue = true;
  later(work);
}

function later(work) {
  if (window.requestIdleCallback) requestIdleCallback(work, { timeout: 120 });
  else setTimeout(work, 30);
}

function work() {
  isDue = false;
  const end = performance.now() + SLICE_MS;
  for (const block of waiting) {
    if (performance.now() > end) {
      isDue = true;
      later(work);
      return;
    }
    if (colour(block, end)) waiting.delete(block);
  }
}

/** Colours what is new in a block; says whether all is done that can be done now. */
function colour(block, end) {
  const code = block.querySelector("code");
  // Reasoning has no cursor that tells where it still grows, and is no place for colours.
  if (!block.isConnected || !code || !block.closest("[data-text]")) return true;
  const known = readers.get(code);
  if (known === undefined) {
    const load = loaderOf(block.dataset.language ?? "");
    readers.set(code, load ? null : new State(plain));
    if (!load) return colour(block, end);
    load().then((mode) => {
      readers.set(code, new State(() => new Reader(mode)));
      note(block);
    });
    return true;
  }
  if (known === null) return true;
  for (;;) {
    if (known.part && !known.part.isConnected) known.begin();
    const text = known.part ? known.part.nextSibling : code.firstChild;
    if (!text || text.nodeType !== Node.TEXT_NODE) return true;
    // The last one may still grow, as long as the cursor is behind it.
    const isOpen = text.nextSibling?.nodeType !== Node.TEXT_NODE && code.lastElementChild?.hasAttribute("data-cursor");
    if (isOpen) return true;
    replace(text, known);
    if (performance.now() > end) return false;
  }
}

/** Reads code of no known language: it has no colours. */
const plain = () => ({ read: (line) => [[line, undefined]] });

/** How far a block has been read. */
class State {
  constructor(makeReader) {
    this.makeReader = makeReader;
    this.begin();
  }

  /** Begins anew, as when the block was written anew. */
  begin() {
    this.reader = this.makeReader();
    this.part = undefined;
    this.lines = LINES_A_PART;
  }
}

/** Puts coloured lines in the place of a plain text. */
function replace(text, known) {
  const selection = getSelection();
  const ends = selection && selection.rangeCount > 0 ? [selection.anchorNode, selection.anchorOffset, selection.focusNode, selection.focusOffset] : undefined;
  const nodes = [];
  const lines = text.data.split(/(?<=\n)/);
  let pending = "";
  const add = (node) => {
    known.part.append(node);
    nodes.push(known.part.lastChild);
  };
  const flush = () => {
    if (pending) add(pending);
    pending = "";
  };
  for (const line of lines) {
    if (line === "") continue;
    if (known.lines >= LINES_A_PART) {
      flush();
      known.part?.classList.add("whole");
      known.part = document.createElement("span");
      known.part.className = "lines";
      known.lines = 0;
      text.before(known.part);
    }
    const isWhole = line.endsWith("\n");
    for (const [part, kind] of known.reader.read(isWhole ? line.slice(0, -1) : line)) {
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
    if (isWhole) {
      pending += "\n";
      known.lines += 1;
    }
  }
  flush();
  text.remove();
  if (nodes.length > 0 && ends && (ends[0] === text || ends[2] === text)) {
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
        if (!readers.has(added.querySelector("code")) || added === target.lastElementChild) note(added);
      }
    }
  }
}).observe(document.body, { childList: true, subtree: true });
look(document);
