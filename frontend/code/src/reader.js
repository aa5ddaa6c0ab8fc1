/** Reads code line by line and says which parts of it are what. What it knows of the lines before is small. */

import { Line } from "./line.js";

/** A longer line is data, not code to be read. */
const LONGEST_LINE = 1000;

/**
 * Code with more brackets open than this is none that anybody reads, and stays plain from there on: what some modes do
 * for a line grows with all that is open.
 */
const MOST_OPEN = 1000;

/** The colours, by the words that modes use for what they find; the first word counts. */
const kinds = {
  keyword: "k",
  controlKeyword: "k",
  operatorKeyword: "k",
  definitionKeyword: "k",
  moduleKeyword: "k",
  modifier: "k",
  tag: "k",
  tagName: "k",
  self: "k",
  string: "s",
  character: "s",
  regexp: "s",
  inserted: "s",
  attributeValue: "s",
  number: "n",
  integer: "n",
  float: "n",
  bool: "n",
  atom: "n",
  null: "n",
  unit: "n",
  color: "n",
  comment: "c",
  lineComment: "c",
  blockComment: "c",
  typeName: "t",
  type: "t",
  className: "t",
  namespace: "t",
  def: "d",
  definition: "d",
  labelName: "d",
  heading: "d",
  propertyName: "p",
  property: "p",
  attributeName: "p",
  meta: "m",
  annotation: "m",
  processingInstruction: "m",
  builtin: "t",
  deleted: "x",
  invalid: "x",
};

export class Reader {
  constructor(mode) {
    this.mode = mode;
    /** Whether the rest of the code stays plain. */
    this.hasGivenUp = false;
    /** How many brackets are open. */
    this.open = 0;
    this.state = mode.startState ? mode.startState(2) : {};
  }

  /** The parts of the next line, each with its kind (or none); it has no line break. */
  read(text) {
    if (text === "") {
      if (!this.hasGivenUp) this.mode.blankLine?.(this.state, 2);
      return [];
    }
    if (this.hasGivenUp || text.length > LONGEST_LINE) return [[text, undefined]];
    for (const c of text) {
      if (c === "(" || c === "[" || c === "{") this.open += 1;
      else if ((c === ")" || c === "]" || c === "}") && this.open > 0) this.open -= 1;
    }
    this.hasGivenUp = this.open > MOST_OPEN;
    if (this.hasGivenUp) return [[text, undefined]];
    try {
      return this.parts(text);
    } catch {
      // Where a mode calls itself for what nests, that ends so.
      this.hasGivenUp = true;
      return [[text, undefined]];
    }
  }

  parts(text) {
    const line = new Line(text);
    const parts = [];
    while (!line.eol()) {
      line.start = line.pos;
      let style;
      // A mode may return without having moved, a few times; one that never moves is left behind.
      for (let tries = 0; tries < 10 && line.pos === line.start; tries += 1) style = this.mode.token(line, this.state);
      if (line.pos <= line.start) line.pos = line.start + 1;
      const kind = kindOf(style);
      const last = parts.at(-1);
      if (last && last[1] === kind) last[0] += line.current();
      else parts.push([line.current(), kind]);
    }
    return parts;
  }
}

function kindOf(style) {
  if (!style) return undefined;
  for (const word of style.split(/[ .]/)) {
    const kind = kinds[word];
    if (kind) return style.includes("definition") && kind !== "k" ? "d" : kind;
  }
  return style.includes("definition") ? "d" : undefined;
}
