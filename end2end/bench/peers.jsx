/**
 * The peers' pages: the same stream, read with the same few lines, shown by react-markdown or streamdown as
 * their documents say. State is set at most once a frame, which is kinder to them than most apps are.
 */
import { useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";
import ReactMarkdown from "react-markdown";
import remarkGfm from "remark-gfm";
import { code } from "@streamdown/code";
import { Streamdown } from "streamdown";

const renderers = {
  "react-markdown": (text) => <ReactMarkdown remarkPlugins={[remarkGfm]}>{text}</ReactMarkdown>,
  // Code is highlighted, as it is in Rill.
  streamdown: (text, streaming) => <Streamdown plugins={{ code }} isAnimating={streaming}>{text}</Streamdown>,
  "streamdown-plain": (text, streaming) => <Streamdown isAnimating={streaming}>{text}</Streamdown>,
  // For orientation: what the browser needs for the text alone.
  "text-node": (text) => <div style={{ whiteSpace: "pre-wrap" }}>{text}</div>,
};

function Page({ name }) {
  const [text, setText] = useState("");
  const [streaming, setStreaming] = useState(false);
  const scroller = useRef(null);
  useEffect(() => {
    window.startReply = async () => {
      setStreaming(true);
      const response = await fetch("/stream");
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let all = "";
      let rest = "";
      let due = false;
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        for (const line of lines) if (line.startsWith("data: ")) all += JSON.parse(line.slice(6));
        if (!due) {
          due = true;
          requestAnimationFrame(() => {
            due = false;
            setText(all);
          });
        }
      }
      setText(all);
      setStreaming(false);
    };
    window.ready = true;
  }, []);
  useEffect(() => {
    if (scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  });
  return (
    <main style={{ display: "grid", gridTemplateRows: "minmax(0, 1fr) auto", height: "100vh", margin: 0 }}>
      <div ref={scroller} style={{ overflowY: "auto" }}>
        <div data-text="" style={{ maxWidth: "44rem", margin: "auto" }}>
          {renderers[name](text, streaming)}
        </div>
      </div>
      <textarea aria-label="Message" />
    </main>
  );
}

createRoot(document.getElementById("root")).render(<Page name={location.pathname.slice(1)} />);
