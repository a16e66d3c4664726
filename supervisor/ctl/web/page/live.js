// Live: what /live sends, once for all tabs of a browser: it has six connections to a host, and a stream keeps one.

const KINDS = ["daemon", "note", "tree", "events", "dead"];

// Follow the stream: `hear` gets the kind of each part and its JSON; also `open` before the whole state comes, `lost`, `over`.
export function follow(token, hear) {
  const source = new EventSource(`live?token=${encodeURIComponent(token)}`);
  source.onopen = () => hear("open");
  source.onerror = () => hear(source.readyState === EventSource.CLOSED ? "over" : "lost");
  for (const kind of KINDS) source.addEventListener(kind, ({ data }) => hear(kind, data));
  return source;
}

function share() {
  const token = new URLSearchParams(location.search).get("token");
  const tabs = new Set();
  let source = null;
  self.onconnect = ({ ports: [tab] }) => {
    tabs.add(tab);
    tab.onmessage = () => tabs.delete(tab); // it is closed
    source?.close(); // a new stream begins with the whole state, which the new tab needs
    source = follow(token, (...part) => tabs.forEach((one) => one.postMessage(part)));
  };
}

if (self.SharedWorkerGlobalScope) share();
