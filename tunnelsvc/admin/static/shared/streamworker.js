// Has the stream that all pages of a site follow (see stream.js), and hands on what comes.

import { KINDS, about } from "./stream.js";

const LOOK_MS = 10000;
// Pages say every few seconds that they are there.
const SILENCE_MS = 60000;
// When a server is back, all pages ask for it at once.
const GATHER_MS = 20;

// By port: what a page wants, when it was heard last, and whether the stream has begun since it said so.
const pages = new Map();
let source = null;
let address = "";
let followed = "";
let due = null;

function tell(kind, data) {
  const topic = data && /^\{"topic":"(\w+)"/.exec(data)?.[1];
  for (const [port, page] of pages) {
    if (page.begun && (!topic || page.topics.includes(topic))) port.postMessage({ kind, data });
  }
}

function close() {
  source?.close();
  source = null;
}

const wanted = () => [...new Set([...pages.values()].flatMap((page) => page.topics))].sort();

// Who comes later needs all that there is, and this is what a stream begins with.
function open() {
  close();
  followed = wanted().join();
  if (!followed) return;
  for (const page of pages.values()) page.begun = true;
  source = new EventSource(about(address, wanted()));
  source.onopen = () => tell("open");
  source.onerror = () => {
    close();
    tell("error");
  };
  for (const kind of KINDS) source.addEventListener(kind, (event) => tell(kind, event.data));
}

function openSoon() {
  clearTimeout(due);
  due = setTimeout(open, GATHER_MS);
}

function leave(port) {
  if (pages.delete(port) && wanted().join() !== followed) openSoon();
}

self.onconnect = ({ ports: [port] }) => {
  port.onmessage = ({ data }) => {
    const page = pages.get(port);
    if (page) page.heard = performance.now();
    if (!data.topics) return;
    if (!data.topics.length) {
      leave(port);
      port.close();
      return;
    }
    address = data.address;
    pages.set(port, { topics: data.topics, heard: performance.now(), begun: false });
    openSoon();
  };
};

setInterval(() => {
  for (const [port, page] of pages) {
    if (performance.now() - page.heard > SILENCE_MS) leave(port);
  }
}, LOOK_MS);
