/**
 * Draws one diagram. It is the script of a page that stands in a sandboxed frame: it can reach nothing, and what it
 * knows is told by the page around it. What is said is text:
 *
 *   here -> page    "ready", then for each drawing "drawn HEIGHT", or "mistake" or "mistake LINE"
 *   page -> here    [theme, source]: "light", "dark" or "" for the system's, and the diagram
 */
import mermaid from "mermaid";

import { isTooDeep } from "./depth.js";

/** A drawing is not made smaller than this part of its own width: it is scrolled sideways instead. */
const SMALLEST = 0.6;

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif';

/** The page's own colours (style/tokens.css), and those of slices, branches and bars. Mermaid makes the others from these. */
const LIGHT = colours({
  ground: "#ffffff",
  ink: "#22201c",
  line: "#625c52",
  accent: "#0f5c63",
  first: "#e2eeec",
  second: "#f3ecd9",
  third: "#f1efe9",
  parts: ["#a9d3ce", "#ecd9a6", "#c9b8e2", "#b5cfe6", "#e8bdb2", "#bcd6a8"],
});
const DARK = colours({
  ground: "#212325",
  ink: "#e9e7e2",
  line: "#a8a59e",
  accent: "#86cdc6",
  first: "#22383a",
  second: "#40382a",
  third: "#2d3033",
  parts: ["#2f6663", "#6d5a26", "#55457a", "#345a7a", "#7a4236", "#4a6634"],
});

/** Colours by the names that Mermaid has for them. */
function colours({ ground, ink, line, accent, first, second, third, parts }) {
  // There are twelve of each.
  const named = (name, from) => Object.fromEntries([...parts, ...parts].map((part, index) => [`${name}${index + from}`, part]));
  return {
    background: ground,
    primaryColor: first,
    primaryBorderColor: accent,
    primaryTextColor: ink,
    secondaryColor: second,
    tertiaryColor: third,
    noteBkgColor: second,
    noteTextColor: ink,
    lineColor: line,
    textColor: ink,
    xyChart: { backgroundColor: ground, plotColorPalette: parts.join(",") },
    ...named("pie", 1),
    ...named("cScale", 0),
  };
}

/** What is laid out as a graph; others have ways of their own. */
const GRAPHS = ["flowchart", "state", "class", "er", "requirement"];

const place = document.getElementById("place");
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

/** What was asked for last, and how often something was. */
let wanted;
let asked = 0;
let isDrawn = false;

/** The page around us is of the origin that this page came from, though this one has none of its own. */
const tell = (words) => parent.postMessage(words, location.origin);

async function draw() {
  asked += 1;
  const turn = asked;
  const [theme, source] = wanted;
  const isDark = theme === "dark" || (theme !== "light" && systemIsDark.matches);
  // Equal to that of the page around us, so that its ground shows through.
  document.documentElement.style.colorScheme = isDark ? "dark" : "light";
  mermaid.initialize({
    startOnLoad: false,
    securityLevel: "strict",
    htmlLabels: false,
    suppressErrorRendering: true,
    logLevel: "fatal",
    theme: "base",
    themeVariables: { ...(isDark ? DARK : LIGHT), darkMode: isDark, fontFamily: FONT },
    look: "classic",
    ...Object.fromEntries(GRAPHS.map((kind) => [kind, { layout: "dagre" }])),
    fontFamily: FONT,
    // A diagram's own settings may not change these.
    secure: ["secure", "securityLevel", "startOnLoad", "maxTextSize", "suppressErrorRendering", "maxEdges", "htmlLabels", "logLevel"],
  });
  if (isTooDeep(source)) {
    tell("mistake");
    return;
  }
  let svg;
  try {
    ({ svg } = await mermaid.render("drawing", source));
  } catch (error) {
    if (turn === asked) tell(`mistake ${lineOf(error, source)}`.trim());
    return;
  }
  if (turn !== asked) return;
  place.innerHTML = svg;
  // A drawing leads nowhere. The sandbox and the policy see to that, too.
  for (const link of place.querySelectorAll("a")) for (const name of ["href", "xlink:href", "target"]) link.removeAttribute(name);
  const drawing = place.querySelector("svg");
  const width = drawing.viewBox.baseVal?.width;
  if (width) drawing.style.minInlineSize = `${Math.ceil(width * SMALLEST)}px`;
  isDrawn = true;
  tellHeight();
}

function tellHeight() {
  // What scrolls can be reached by keys.
  if (place.scrollWidth > place.clientWidth) place.tabIndex = 0;
  else place.removeAttribute("tabindex");
  if (isDrawn) tell(`drawn ${Math.ceil(place.getBoundingClientRect().height)}`);
}

/** The line of a mistake, where it is told and counted as the person counts: comments and settings are cut out before. */
function lineOf(error, source) {
  const line = /\bline (\d+)/i.exec(String(error?.message))?.[1];
  return line && !/^\s*(---|%%)/m.test(source) ? line : "";
}

addEventListener("message", ({ data, source }) => {
  if (source !== parent || parent === window || !Array.isArray(data)) return;
  wanted = data.map(String);
  draw();
});
systemIsDark.addEventListener("change", () => {
  if (wanted) draw();
});
new ResizeObserver(tellHeight).observe(place);
if (parent !== window) tell("ready");
