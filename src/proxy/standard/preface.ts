import type { Socket } from "node:net";

/** How an HTTP/2 connection begins (RFC 9113 §3.4). No HTTP/1.1 request begins like it. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** What a connection turned out to speak, or that it closed, or was silent, before it could be told. */
export type Spoken = "http1" | "h2" | "nothing";

/**
 * Finds out which HTTP a connection speaks by its first octets, and puts them back. A client that has sent no more than a
 * part of the preface within `withinMs` says nothing.
 */
export function spokenOn(socket: Socket, withinMs: number, tell: (spoken: Spoken) => void): void {
  let octets = Buffer.alloc(0);
  const timer = setTimeout(end, withinMs, "nothing");
  const onReadable = () => {
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) octets = Buffer.concat([octets, chunk]);
    if (octets.length === 0) return;
    const compared = Math.min(octets.length, preface.length);
    if (preface.compare(octets, 0, compared, 0, compared) !== 0) end("http1");
    else if (compared === preface.length) end("h2");
  };
  const onEnd = () => end("http1");
  const onClose = () => end("nothing");
  const ignore = () => {};
  function end(spoken: Spoken): void {
    clearTimeout(timer);
    socket.off("readable", onReadable).off("end", onEnd).off("close", onClose).off("error", ignore);
    if (octets.length > 0 && !socket.destroyed) socket.unshift(octets);
    tell(spoken);
  }
  socket.on("readable", onReadable).on("end", onEnd).on("close", onClose).on("error", ignore);
}
