/** The texts that are streamed, cut into pieces of about a token. Each is as long as is asked for. */

const words = "the river finds its way between stones and roots where nothing was planned and every turn is the shortest that it could find while the water above pushes on without knowing the sea".split(" ");

/** The same numbers in every run. */
function random(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % below;
  };
}

const next = random(7);
const some = (count) => Array.from({ length: count }, () => words[next(words.length)]).join(" ");
const sentence = () => `${some(6 + next(10)).replace(/^./, (c) => c.toUpperCase())}.`;

function codeLine(number) {
  const name = `${words[next(words.length)]}_${number}`;
  return [
    `    let ${name} = compute("${some(2)}", ${next(1000)})?; // ${some(3)}`,
    `    if ${name}.len() > ${next(99)} { return Err(Error::new("${some(2)}")); }`,
    `    for item in ${name}.iter().filter(|x| x.is_some()) {`,
    `        total += item.value as f64 * ${next(99)}.5;`,
    "    }",
    "",
  ][next(6)];
}

/** One part of a mixed reply. */
function part(number) {
  return [
    () => `## ${some(4)}\n\n`,
    () => `${sentence()} ${sentence()} **${some(2)}** ${sentence()} See [${some(2)}](https://example.com/${number}) and \`${some(1)}\`.\n\n`,
    () => `${sentence()} *${some(3)}* ${sentence()}\n\n`,
    () => Array.from({ length: 5 }, () => `- ${some(5)} **${some(1)}**\n`).join("") + "\n",
    () => Array.from({ length: 4 }, (_, at) => `${at + 1}. ${some(6)}\n   - ${some(4)}\n`).join("") + "\n",
    () => `| ${some(1)} | ${some(1)} | ${some(1)} |\n|---|---|--:|\n` + Array.from({ length: 5 }, () => `| ${some(2)} | \`${some(1)}\` | ${next(1000)} |\n`).join("") + "\n",
    () => "```rust\nfn main() {\n" + Array.from({ length: 12 }, (_, at) => `${codeLine(at)}\n`).join("") + "}\n```\n\n",
    () => `> ${sentence()}\n> ${sentence()}\n\n`,
  ][number % 8]();
}

const grow = {
  mixed: (number) => part(number),
  code: (number) => (number === 0 ? "```rust\n" : `${codeLine(number)}\n`),
  paragraph: () => `${sentence()} `,
  // One word of any length.
  unbroken: () => some(8).replaceAll(" ", ""),
  list: (number) => `${number % 5 === 0 ? "" : number % 5 < 3 ? "  " : "    "}- ${some(4 + next(6))}\n`,
};

/** The names of the texts. */
export const texts = Object.keys(grow);

/** A text of this kind as so many pieces. */
export function pieces(kind, count) {
  const found = [];
  for (let number = 0; found.length < count; number += 1) {
    found.push(...(grow[kind](number).match(/\s*\S{1,6}|\s+$/g) ?? []));
  }
  return found.slice(0, count);
}
