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

/** What is known of each block: its reader, or that it has none. */
const readers = new WeakMap();
const waiting = new Set();
let isDue = false;

function look(root) {
  for (const block of root.querySelectorAll("[data-text] figure.code[data-language]")) note(block);
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
    const load = loaderOf(block.dataset.language);
    readers.set(code, null);
    load?.().then((mode) => {
      readers.set(code, { reader: new Reader(mode), next: code.firstChild });
      note(block);
    });
    return true;
  }
  if (known === null) return true;
  for (;;) {
    // What was next may have been split or put into another text by now; it is always there.
    const text = known.last?.isConnected ? known.last.nextSibling : firstText(code, known);
    if (!text || text.nodeType !== Node.TEXT_NODE) return true;
    // The last one may still grow, as long as the cursor is behind it.
    const isOpen = text.nextSibling?.nodeType !== Node.TEXT_NODE && code.lastElementChild?.hasAttribute("data-cursor");
    if (isOpen) return true;
    known.last = replace(text, known.reader);
    if (performance.now() > end) return false;
  }
}

function firstText(code, known) {
  if (known.last) {
    // The block was written anew: it is read anew.
    known.reader = new Reader(known.reader.mode);
    known.last = undefined;
  }
  return code.firstChild;
}

/** Puts a text with coloured parts in the place of a plain one; gives its last node. */
function replace(text, reader) {
  const fragment = document.createDocumentFragment();
  const lines = text.data.split("\n");
  let plain = "";
  lines.forEach((line, index) => {
    for (const [part, kind] of line || index + 1 < lines.length ? reader.read(line) : []) {
      if (!kind || part.trim() === "") {
        plain += part;
        continue;
      }
      if (plain) fragment.append(plain);
      plain = "";
      const span = document.createElement("span");
      span.className = kind;
      span.textContent = part;
      fragment.append(span);
    }
    if (index + 1 < lines.length) plain += "\n";
  });
  if (plain || !fragment.lastChild) fragment.append(plain);
  const last = fragment.lastChild;
  const nodes = [...fragment.childNodes];
  const selection = getSelection();
  const ends = selection && selection.rangeCount > 0 ? [selection.anchorNode, selection.anchorOffset, selection.focusNode, selection.focusOffset] : undefined;
  text.replaceWith(fragment);
  if (ends && (ends[0] === text || ends[2] === text)) {
    const [anchor, anchorAt] = ends[0] === text ? place(nodes, ends[1]) : [ends[0], ends[1]];
    const [focus, focusAt] = ends[2] === text ? place(nodes, ends[3]) : [ends[2], ends[3]];
    selection.setBaseAndExtent(anchor, anchorAt, focus, focusAt);
  }
  return last;
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
    const block = target.nodeType === Node.ELEMENT_NODE ? target.closest("figure.code[data-language]") : null;
    if (block) note(block);
    else if (target.nodeType === Node.ELEMENT_NODE && target.querySelector("figure.code")) {
      for (const added of target.querySelectorAll("figure.code[data-language]")) {
        if (!readers.has(added.querySelector("code")) || added === target.lastElementChild) note(added);
      }
    }
  }
}).observe(document.body, { childList: true, subtree: true });
look(document);
