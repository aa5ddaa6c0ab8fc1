/**
 * How deep the text of a diagram may nest. Mermaid's parsers and layouts call themselves for what is within something,
 * and a text of a few kilobytes can make them fill the stack or take minutes.
 */

/** The deepest that brackets, blocks and indented lines may nest. */
export const LEVELS = 100;

/** What begins a block that `end` ends, as the first word of a line. */
const BLOCK = /^\s*(subgraph|loop|alt|opt|par|par_over|critical|break|rect|box|block|namespace)\b/;
const END = /^\s*(end|\})\s*;?\s*$/;

/** Whether a text nests deeper than it may. It takes time in proportion to the text, and counts too much rather than too little. */
export function isTooDeep(source) {
  let blocks = 0;
  let brackets = 0;
  /** How far the lines are indented within which this one may stand, as in a mind map. */
  const indents = [];
  for (const line of source.split(/\r\n?|\n/)) {
    if (line.trim() === "") continue;
    const indent = line.search(/\S/);
    while (indents.length > 0 && indents.at(-1) >= indent) indents.pop();
    indents.push(indent);
    if (BLOCK.test(line)) blocks += 1;
    else if (END.test(line)) blocks = Math.max(0, blocks - 1);
    for (const c of line) {
      if (c === "(" || c === "[" || c === "{") brackets += 1;
      else if ((c === ")" || c === "]" || c === "}") && brackets > 0) brackets -= 1;
      if (blocks + brackets > LEVELS) return true;
    }
    if (blocks > LEVELS || indents.length > LEVELS) return true;
  }
  return false;
}
