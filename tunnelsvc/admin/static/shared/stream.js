// A stream of server-sent events that all pages of a site in a browser have together, where browsers
// can do that: of six connections to a host, six windows would leave none to ask anything by.

/** Like an EventSource, as far as it is needed: `onopen`, `onerror`, `onevent(kind, data)`, `close()`. */
export function openStream(address, topics, handlers) {
  return "SharedWorker" in window ? new Shared(address, topics, handlers) : new Own(address, topics, handlers);
}

export const KINDS = ["snapshot", "delta", "alive"];

/** The URL of a stream of some topics; it may have a query already. */
export function about(address, topics) {
  const found = new URL(address);
  found.searchParams.set("topics", topics.join());
  return found;
}

class Own {
  constructor(address, topics, { onopen, onerror, onevent }) {
    this.source = new EventSource(about(address, topics));
    this.source.onopen = onopen;
    this.source.onerror = onerror;
    for (const kind of KINDS) this.source.addEventListener(kind, (event) => onevent(kind, event.data));
  }

  stay() {}

  close() {
    this.source.close();
  }
}

class Shared {
  constructor(address, topics, { onopen, onerror, onevent }) {
    const worker = new SharedWorker(new URL("streamworker.js", import.meta.url), { type: "module" });
    this.port = worker.port;
    // What can't be loaded, as the server is gone, or knows us no more.
    worker.onerror = onerror;
    this.port.onmessage = ({ data: { kind, data } }) => {
      if (kind === "open") onopen();
      else if (kind === "error") onerror();
      else onevent(kind, data);
    };
    this.leave = () => this.close();
    window.addEventListener("pagehide", this.leave);
    this.port.postMessage({ address, topics });
  }

  /** Say that this page is still there: a worker isn't told when one crashes. */
  stay() {
    this.port.postMessage({});
  }

  close() {
    window.removeEventListener("pagehide", this.leave);
    this.port.postMessage({ topics: [] });
    this.port.onmessage = null;
  }
}
