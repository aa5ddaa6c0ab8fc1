/** One line of code as CodeMirror's modes read it: a place in it that moves forward. */

const TAB = 4;

export class Line {
  pos = 0;
  start = 0;
  indentUnit = 2;
  tabSize = TAB;

  constructor(string) {
    this.string = string;
  }

  eol() {
    return this.pos >= this.string.length;
  }

  sol() {
    return this.pos === 0;
  }

  peek() {
    return this.string.charAt(this.pos) || undefined;
  }

  next() {
    return this.pos < this.string.length ? this.string.charAt(this.pos++) : undefined;
  }

  eat(match) {
    const c = this.string.charAt(this.pos);
    const fits = typeof match === "string" ? c === match : c && (match instanceof RegExp ? match.test(c) : match(c));
    if (!fits) return undefined;
    this.pos += 1;
    return c;
  }

  eatWhile(match) {
    const start = this.pos;
    while (this.eat(match));
    return this.pos > start;
  }

  eatSpace() {
    return this.eatWhile(/[\s\u00a0]/);
  }

  skipToEnd() {
    this.pos = this.string.length;
  }

  skipTo(c) {
    const found = this.string.indexOf(c, this.pos);
    if (found < 0) return undefined;
    this.pos = found;
    return true;
  }

  backUp(count) {
    this.pos -= count;
  }

  column() {
    return columns(this.string, this.start);
  }

  indentation() {
    return columns(this.string, this.string.search(/\S|$/));
  }

  match(pattern, consume, ignoreCase) {
    if (typeof pattern === "string") {
      const here = this.string.substr(this.pos, pattern.length);
      const fits = ignoreCase ? here.toLowerCase() === pattern.toLowerCase() : here === pattern;
      if (!fits) return null;
      if (consume !== false) this.pos += pattern.length;
      return true;
    }
    const match = this.string.slice(this.pos).match(pattern);
    if (match && match.index > 0) return null;
    if (match && consume !== false) this.pos += match[0].length;
    return match;
  }

  current() {
    return this.string.slice(this.start, this.pos);
  }

  lookAhead() {
    return undefined;
  }

  baseToken() {
    return undefined;
  }
}

function columns(string, end) {
  let columns = 0;
  for (let at = 0; at < end; at += 1) columns += string[at] === "\t" ? TAB - (columns % TAB) : 1;
  return columns;
}
