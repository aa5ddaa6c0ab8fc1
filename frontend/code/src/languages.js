/**
 * The languages: the names that people give them, and the mode that reads each. A mode is loaded when its
 * first block appears; esbuild makes a file of each `import()`.
 */

const clike = (name) => async () => (await import("@codemirror/legacy-modes/mode/clike"))[name];
const js = (name) => async () => (await import("@codemirror/legacy-modes/mode/javascript"))[name];
const css = (name) => async () => (await import("@codemirror/legacy-modes/mode/css"))[name];
const xml = (name) => async () => (await import("@codemirror/legacy-modes/mode/xml"))[name];
const sql = (name) => async () => (await import("@codemirror/legacy-modes/mode/sql"))[name];
const ml = (name) => async () => (await import("@codemirror/legacy-modes/mode/mllike"))[name];

/** PHP is C with dollars; CodeMirror has no mode of this kind for it. */
const php = async () => {
  const { clike } = await import("@codemirror/legacy-modes/mode/clike");
  const set = (words) => Object.fromEntries(words.split(" ").map((word) => [word, true]));
  return clike({
    name: "php",
    keywords: set(
      "abstract and array as break case catch class clone const continue declare default do echo else elseif enum extends final finally fn for foreach function global goto if implements include include_once instanceof insteadof interface match namespace new or print private protected public readonly require require_once return static switch throw trait try use var while xor yield",
    ),
    blockKeywords: set("catch class do else elseif for foreach if switch try while finally"),
    atoms: set("true false null TRUE FALSE NULL"),
    builtin: set("string int float bool mixed void iterable object self parent"),
    multiLineStrings: true,
    hooks: {
      $: (line) => {
        line.eatWhile(/[\w$]/);
        return "variableName.special";
      },
      "#": (line) => {
        line.skipToEnd();
        return "comment";
      },
      "<": (line) => (line.match(/^(\?|php\b)+/) ? "meta" : false),
      "?": (line) => (line.match(/^>/) ? "meta" : false),
    },
  });
};

const modes = [
  [js("javascript"), "javascript js jsx mjs cjs node"],
  [js("typescript"), "typescript ts tsx mts cts"],
  [js("json"), "json json5 jsonc jsonl"],
  [async () => (await import("@codemirror/legacy-modes/mode/python")).python, "python py python3 ipython pycon"],
  [async () => (await import("@codemirror/legacy-modes/mode/rust")).rust, "rust rs"],
  [async () => (await import("@codemirror/legacy-modes/mode/go")).go, "go golang"],
  [async () => (await import("@codemirror/legacy-modes/mode/shell")).shell, "bash sh shell zsh fish console shellsession terminal"],
  [clike("c"), "c h"],
  [clike("cpp"), "cpp c++ cc cxx hpp arduino"],
  [clike("java"), "java"],
  [clike("csharp"), "csharp cs c#"],
  [clike("kotlin"), "kotlin kt kts"],
  [clike("scala"), "scala"],
  [clike("dart"), "dart"],
  [clike("objectiveC"), "objectivec objective-c objc"],
  [clike("shader"), "glsl hlsl wgsl"],
  [php, "php"],
  [async () => (await import("@codemirror/legacy-modes/mode/swift")).swift, "swift"],
  [async () => (await import("@codemirror/legacy-modes/mode/ruby")).ruby, "ruby rb"],
  [css("css"), "css"],
  [css("sCSS"), "scss sass"],
  [css("less"), "less"],
  [xml("html"), "html htm vue svelte astro"],
  [xml("xml"), "xml svg xhtml plist"],
  [sql("standardSQL"), "sql"],
  [sql("pgSQL"), "postgresql postgres pgsql plpgsql"],
  [sql("mySQL"), "mysql mariadb"],
  [sql("sqlite"), "sqlite"],
  [sql("msSQL"), "mssql tsql"],
  [async () => (await import("@codemirror/legacy-modes/mode/yaml")).yaml, "yaml yml"],
  [async () => (await import("@codemirror/legacy-modes/mode/toml")).toml, "toml"],
  [async () => (await import("@codemirror/legacy-modes/mode/properties")).properties, "ini properties env dotenv conf"],
  [async () => (await import("@codemirror/legacy-modes/mode/dockerfile")).dockerFile, "dockerfile docker"],
  [async () => (await import("@codemirror/legacy-modes/mode/nginx")).nginx, "nginx"],
  [async () => (await import("@codemirror/legacy-modes/mode/diff")).diff, "diff patch"],
  [async () => (await import("@codemirror/legacy-modes/mode/lua")).lua, "lua"],
  [async () => (await import("@codemirror/legacy-modes/mode/perl")).perl, "perl pl"],
  [async () => (await import("@codemirror/legacy-modes/mode/r")).r, "r"],
  [async () => (await import("@codemirror/legacy-modes/mode/julia")).julia, "julia jl"],
  [async () => (await import("@codemirror/legacy-modes/mode/haskell")).haskell, "haskell hs"],
  [async () => (await import("@codemirror/legacy-modes/mode/clojure")).clojure, "clojure clj"],
  [async () => (await import("@codemirror/legacy-modes/mode/erlang")).erlang, "erlang erl"],
  [async () => (await import("@codemirror/legacy-modes/mode/elm")).elm, "elm"],
  [ml("oCaml"), "ocaml ml"],
  [ml("fSharp"), "fsharp f# fs"],
  [async () => (await import("@codemirror/legacy-modes/mode/groovy")).groovy, "groovy gradle"],
  [async () => (await import("@codemirror/legacy-modes/mode/powershell")).powerShell, "powershell ps1 pwsh"],
  [async () => (await import("@codemirror/legacy-modes/mode/octave")).octave, "matlab octave"],
  [async () => (await import("@codemirror/legacy-modes/mode/stex")).stex, "latex tex"],
  [async () => (await import("@codemirror/legacy-modes/mode/protobuf")).protobuf, "protobuf proto"],
  [async () => (await import("@codemirror/legacy-modes/mode/cmake")).cmake, "cmake"],
  [async () => (await import("@codemirror/legacy-modes/mode/vb")).vb, "vb vbnet"],
];

const byName = new Map(modes.flatMap(([load, names]) => names.split(" ").map((name) => [name, load])));

/** Every name of a language. */
export const languages = modes.flatMap(([, names]) => names.split(" "));

/** What loads the mode of a language, or nothing for one that is not known. */
export function loaderOf(language) {
  return byName.get(language.toLowerCase());
}
