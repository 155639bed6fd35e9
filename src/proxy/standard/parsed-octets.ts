import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";

/** node's parser keeps the octets that it is at. It has no public name. */
interface Parser {
  getCurrentBuffer?(): Buffer | undefined;
}

const headEnd = "\r\n\r\n";

/** The read that brought the end of this request's head; undefined where node does not tell. Asked while the head is told of. */
export function parsedOctets({ socket }: IncomingMessage): Buffer | undefined {
  const { parser } = socket as Socket & { readonly parser?: Parser | null };
  return parser?.getCurrentBuffer?.();
}

/** Whether anything but this request may have come with the end of its head, or may come with the end of its body. */
export function mayHaveMoreBehind(request: IncomingMessage): boolean {
  const octets = parsedOctets(request);
  const { "transfer-encoding": coding, "content-length": length = "0" } = request.headers;
  if (octets === undefined || coding !== undefined) return true;
  const end = octets.indexOf(headEnd);
  return end === -1 || end + headEnd.length + Number(length) !== octets.length;
}
